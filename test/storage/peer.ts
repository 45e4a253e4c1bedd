/**
 * A process of its own for the tests of storage: `peer.js ROLE OPTIONS-AS-JSON`; what it found goes to standard output
 * as JSON.
 */
import { crc32 } from 'node:zlib';
import {
  FileStorage,
  loadNative,
  openLivenessFifo,
  openFifoWriter,
  type FileStorageOptions,
  type LogReader,
  type LogWriter,
} from '../../src/storage';
import { seededRandom } from '../../src/storage/simulated-disk';
import { IDENTITY, OPPOSITE, type Mechanism } from './kits';

export interface PeerOptions {
  readonly root: string;
  readonly storage: FileStorageOptions;
  readonly mechanism?: Mechanism;
  readonly capacityBytes?: number;
  readonly totalBytes?: number;
  readonly first?: boolean;
  readonly path?: string;
}

export interface ExchangeResult {
  readonly sentCrc: number;
  readonly receivedCrc: number;
  readonly receivedBytes: number;
}

function yieldProcessor(): void {
  loadNative()?.yieldProcessor();
}

function waitForLog(storage: FileStorage, path: string): LogReader {
  for (;;) {
    const reader = storage.openLog(path);
    if (reader !== undefined) return reader;
    yieldProcessor();
  }
}

/** Sends `totalBytes` to the other process and takes as many from it, both at once. */
class Exchange {
  sentCrc = 0;
  receivedCrc = 0;
  receivedBytes = 0;
  #left: number;
  readonly #out: LogWriter;
  readonly #in: LogReader;
  readonly #source: Buffer;
  readonly #random = seededRandom(process.pid);

  constructor(out: LogWriter, reader: LogReader, totalBytes: number) {
    this.#out = out;
    this.#in = reader;
    this.#left = totalBytes;
    this.#source = Buffer.from(Uint8Array.from({ length: out.claimMaxBytes }, () => Math.floor(this.#random() * 256)));
  }

  run(totalBytes: number): ExchangeResult {
    while (this.#left > 0 || this.receivedBytes < totalBytes) {
      const sent = this.#left > 0 && this.#send();
      const received = this.#receive();
      if (!sent && !received) yieldProcessor();
    }
    return { sentCrc: this.sentCrc, receivedCrc: this.receivedCrc, receivedBytes: this.receivedBytes };
  }

  #send(): boolean {
    const out = this.#out;
    const longest = Math.floor((this.#random() * out.claimMaxBytes) / 8) * 8;
    const granted = out.claim(8, Math.min(this.#left, Math.max(8, longest)));
    if (granted === 0) {
      out.publish();
      out.released(this.#in.peerRead());
      return false;
    }
    this.#source.copy(out.bytes, out.at, 0, granted);
    this.sentCrc = crc32(out.bytes.subarray(out.at, out.at + granted), this.sentCrc);
    this.#source[this.#left % this.#source.length] = this.#left & 255;
    out.commit(granted);
    this.#left -= granted;
    if (this.#left === 0 || this.#random() < 0.7) out.publish();
    return true;
  }

  #receive(): boolean {
    const reader = this.#in;
    const run = reader.poll();
    if (run === 0) return false;
    this.receivedCrc = crc32(reader.bytes.subarray(reader.at, reader.at + run), this.receivedCrc);
    reader.consume(run);
    this.receivedBytes += run;
    this.#out.acknowledge(reader.position);
    this.#out.publish();
    return true;
  }
}

function exchange(options: PeerOptions): ExchangeResult {
  const storage = new FileStorage(options.root, options.storage);
  const [mine, theirs] = options.first === true ? ['1-2', '2-1'] : ['2-1', '1-2'];
  const identity = options.first === true ? IDENTITY : OPPOSITE;
  const out = storage.createLog(mine, identity, options.mechanism ?? 'frames', options.capacityBytes ?? 1 << 20);
  const totalBytes = options.totalBytes ?? 0;
  const result = new Exchange(out, waitForLog(storage, theirs), totalBytes).run(totalBytes);
  out.close();
  return result;
}

/** Writes numbered records until it is killed. */
function flood(options: PeerOptions): never {
  const storage = new FileStorage(options.root, options.storage);
  const out = storage.createLog('1-2', IDENTITY, options.mechanism ?? 'frames', options.capacityBytes ?? 1 << 20);
  const answers = waitForLog(storage, '2-1');
  const random = seededRandom(process.pid);
  for (let number = 0; ;) {
    const length = 16 + 8 * Math.floor(random() * 1000);
    if (out.claim(length, length) < length) {
      out.publish();
      out.released(answers.peerRead());
      continue;
    }
    out.words[out.at >> 2] = length;
    out.words[(out.at >> 2) + 1] = number;
    out.bytes.fill(number & 255, out.at + 8, out.at + length);
    out.commit(length);
    number++;
    if (random() < 0.5) out.publish();
  }
}

/** Rewrites one block until it is killed, each time with another byte all over. */
function rewrite(options: PeerOptions): never {
  const writer = new FileStorage(options.root, options.storage).createBlocks('block');
  for (let number = 1; ; number++) writer?.write(0, Buffer.alloc(4000, number & 255));
}

/** Holds a FIFO open until it is killed. */
function hold(options: PeerOptions, open: (path: string) => number | undefined): void {
  const fd = open(options.path ?? '');
  process.stdout.write(`${JSON.stringify({ fd: fd !== undefined })}\n`);
  setInterval(() => undefined, 1000);
}

if (require.main === module) {
  const [, , role, json] = process.argv;
  const options = JSON.parse(json ?? '{}') as PeerOptions;
  if (role === 'exchange') process.stdout.write(JSON.stringify(exchange(options)));
  else if (role === 'flood') flood(options);
  else if (role === 'rewrite') rewrite(options);
  else if (role === 'publish') {
    const won = new FileStorage(options.root, options.storage).publishOnce('once', Buffer.alloc(64, process.pid & 255));
    process.stdout.write(JSON.stringify({ won, byte: process.pid & 255 }));
  } else if (role === 'liveness') hold(options, openLivenessFifo);
  else if (role === 'ring') hold(options, openFifoWriter);
}
