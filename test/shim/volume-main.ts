/**
 * An ordinary server and an ordinary client that move a lot of bytes, forked by volume.test.ts; neither knows of STP.
 *
 * usage (forked): volume-main.js server | volume-main.js client PORT WHAT
 * Every connection begins with one line of JSON from the client: what it wants.
 */
import net from 'node:net';
import { crc32 } from 'node:zlib';

interface Task {
  readonly what: 'sink' | 'both' | 'stall';
  readonly bytes: number;
  readonly seed: number;
}

export interface Answer {
  readonly ok: boolean;
  readonly detail: string;
  /** Highest resident set minus the one before the work, MiB. */
  readonly grownMib: number;
  /** `stall`: bytes the writer got rid of while the reader stood still. */
  readonly stalledBytes?: number;
}

const MIB = 1 << 20;
const CHUNK_BYTES = 65_536;
const STALL_MS = 5000;

/** Bytes of a stream: each chunk differs, and a chunk out of its place shows in the checksum. */
function chunkOf(seed: number, at: number, length: number): Buffer {
  const chunk = Buffer.alloc(length, (seed * 31 + at / CHUNK_BYTES) & 0xff);
  if (length >= 8) chunk.writeDoubleLE(seed + at, 0);
  return chunk;
}

function checksumOf(seed: number, bytes: number): number {
  let sum = 0;
  for (let at = 0; at < bytes; at += CHUNK_BYTES)
    sum = crc32(chunkOf(seed, at, Math.min(CHUNK_BYTES, bytes - at)), sum);
  return sum;
}

/** Writes a whole stream with regard to backpressure. */
function send(socket: net.Socket, seed: number, bytes: number): Promise<void> {
  return new Promise((resolve) => {
    let at = 0;
    const more = (): void => {
      while (at < bytes) {
        const length = Math.min(CHUNK_BYTES, bytes - at);
        const chunk = chunkOf(seed, at, length);
        at += length;
        if (!socket.write(chunk)) {
          socket.once('drain', more);
          return;
        }
      }
      resolve();
    };
    more();
  });
}

/** Receives a whole stream: its length and checksum. */
function receive(socket: net.Socket, first: Buffer): Promise<{ bytes: number; sum: number }> {
  return new Promise((resolve, reject) => {
    let bytes = first.length;
    let sum = crc32(first);
    socket.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      sum = crc32(chunk, sum);
    });
    socket.once('end', () => {
      resolve({ bytes, sum });
    });
    socket.once('error', reject);
    socket.resume();
  });
}

class RssWatch {
  readonly #before = process.memoryUsage.rss();
  #most = this.#before;
  readonly #timer = setInterval(() => {
    this.#most = Math.max(this.#most, process.memoryUsage.rss());
  }, 20);

  end(): number {
    clearInterval(this.#timer);
    return Math.round((Math.max(this.#most, process.memoryUsage.rss()) - this.#before) / MIB);
  }
}

function serve(socket: net.Socket): void {
  let head = Buffer.alloc(0);
  const onHead = (chunk: Buffer): void => {
    head = Buffer.concat([head, chunk]);
    const end = head.indexOf('\n');
    if (end < 0) return;
    socket.off('data', onHead);
    socket.pause();
    void perform(socket, JSON.parse(head.toString('utf8', 0, end)) as Task, head.subarray(end + 1));
  };
  socket.on('error', () => socket.destroy());
  socket.on('data', onHead);
}

async function perform(socket: net.Socket, task: Task, first: Buffer): Promise<void> {
  if (task.what === 'stall') await new Promise((resolve) => setTimeout(resolve, STALL_MS));
  const sent = task.what === 'both' ? send(socket, task.seed + 1, task.bytes) : Promise.resolve();
  const [got] = await Promise.all([receive(socket, first), sent]);
  if (task.what !== 'both') socket.end(JSON.stringify(got));
  // The answer to the other direction is the end of this one: a wrong stream is cut off.
  else if (got.bytes === task.bytes && got.sum === checksumOf(task.seed, task.bytes)) socket.end();
  else socket.resetAndDestroy();
}

function connect(port: number, task: Task): Promise<net.Socket> {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ port, host: 'localhost', allowHalfOpen: true });
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.write(`${JSON.stringify(task)}\n`);
      resolve(socket);
    });
  });
}

async function one(port: number, task: Task): Promise<{ ok: boolean; detail: string; stalledBytes?: number }> {
  const socket = await connect(port, task);
  let stalledBytes = 0;
  if (task.what === 'stall') {
    setTimeout(() => {
      stalledBytes = socket.bytesWritten - socket.writableLength;
    }, STALL_MS - 500);
  }
  void send(socket, task.seed, task.bytes).then(() => socket.end());
  let text = '';
  socket.setEncoding('latin1');
  for await (const chunk of socket) text += chunk as string;
  const got = JSON.parse(text) as { bytes: number; sum: number };
  const ok = got.bytes === task.bytes && got.sum === checksumOf(task.seed, task.bytes);
  return { ok, detail: `${got.bytes} bytes of ${task.bytes}, checksum ${got.sum}`, stalledBytes };
}

async function many(port: number, connections: number, bytes: number): Promise<{ ok: boolean; detail: string }> {
  let right = 0;
  await Promise.all(
    Array.from({ length: connections }, async (_, i) => {
      const task: Task = { what: 'both', bytes, seed: i * 2 };
      const socket = await connect(port, task);
      void send(socket, task.seed, bytes).then(() => socket.end());
      const got = await receive(socket, Buffer.alloc(0));
      if (got.bytes === bytes && got.sum === checksumOf(task.seed + 1, bytes)) right += 1;
    }),
  );
  return { ok: right === connections, detail: `${right} of ${connections} connections right in both directions` };
}

/** `share`: one part in so many of the whole amount. */
async function client(port: number, what: string, share: number): Promise<void> {
  const watch = new RssWatch();
  let result: { ok: boolean; detail: string; stalledBytes?: number };
  if (what === 'gib') result = await one(port, { what: 'sink', bytes: (1024 * MIB) / share, seed: 7 });
  else if (what === 'stall') result = await one(port, { what: 'stall', bytes: 64 * MIB, seed: 9 });
  else result = await many(port, 1000, MIB / share);
  process.send?.({ ...result, grownMib: watch.end() } satisfies Answer);
}

function server(): void {
  let watch = new RssWatch();
  const listener = net.createServer({ allowHalfOpen: true }, serve);
  listener.listen(0, 'localhost', () => {
    process.send?.({ port: (listener.address() as net.AddressInfo).port });
  });
  // The test asks after each piece of work how much memory it took here.
  process.on('message', () => {
    process.send?.({ grownMib: watch.end() });
    watch = new RssWatch();
  });
}

if (require.main === module) {
  process.once('disconnect', () => process.exit());
  if (process.argv[2] === 'server') server();
  else void client(Number(process.argv[3]), process.argv[4] ?? '', Number(process.argv[5]));
}
