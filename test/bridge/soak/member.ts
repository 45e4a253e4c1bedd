/** A client or a server of a soak of bridges: a process that knows nothing but TCP, and may be killed at any time. */
import fs from 'node:fs';
import net from 'node:net';
import { Random } from '../../engine/random';
import { HOST } from '../kit';
import { ask, Mismatch, respond } from './conversation';
import { CLIENTS, type Cut, type MemberOptions, type Opening, type ToMember, type ToSupervisor } from './messages';
import { connect } from './routes';

const [name = '', text = '{}'] = process.argv.slice(2);
const options = JSON.parse(text) as MemberOptions;
const random = new Random(options.seed);
/** A bridge that is not there is asked again after this. */
const PAUSE_MS = 50;
const LEAVES = 0.1;
const SMALL = 0.5;
const SMALL_BYTES = 2000;

let [whole, bytes, left] = [0, 0, 0];
let cuts: Cut[] = [];
let failures: string[] = [];
let open = 0;
let stopping = false;
/** No two connections of any process carry the same bytes. */
let stream = Math.floor(random.below(1 << 20)) * 1000;

function tell(message: ToSupervisor): void {
  process.send?.(message);
}

function report(): void {
  tell({ kind: 'report', whole, bytes, left, cuts, failures });
  [whole, bytes, left, cuts, failures] = [0, 0, 0, [], []];
}

function leaveIfDone(): void {
  if (!stopping || open > 0) return;
  report();
  process.removeAllListeners('disconnect');
  process.disconnect();
}

/** Books how a connection ended that did not come to its end. */
function book(error: unknown, beganMs: number, opening: Opening | undefined): void {
  if (error instanceof Mismatch) {
    failures.push(`${name}: ${error.message}`);
    return;
  }
  const code = (error as NodeJS.ErrnoException).code ?? String(error);
  const client = opening === undefined ? undefined : { name: CLIENTS[opening.client] ?? '', life: opening.life };
  cuts.push({ route: opening?.route, client, code, beganMs, atMs: Date.now() });
}

async function askOnce(): Promise<void> {
  const route = random.below(options.routes.length);
  const chosen = random.pick(options.routes.slice(route, route + 1));
  stream += 2;
  const opening: Opening = {
    route,
    client: CLIENTS.indexOf(name as (typeof CLIENTS)[number]),
    life: options.life,
    stream,
    bytes: random.chance(SMALL) ? random.below(SMALL_BYTES) : random.below(options.bytesMax),
    leaves: random.chance(LEAVES),
  };
  const beganMs = Date.now();
  let socket: net.Socket | undefined;
  try {
    socket = await connect(chosen);
    if (await ask(socket, random, opening)) {
      whole += 1;
      bytes += opening.bytes;
    } else left += 1;
  } catch (error) {
    book(error, beganMs, opening);
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  } finally {
    socket?.destroy();
  }
}

async function client(): Promise<void> {
  open += 1;
  while (!stopping) await askOnce();
  open -= 1;
  leaveIfDone();
}

async function serve(socket: net.Socket): Promise<void> {
  open += 1;
  const beganMs = Date.now();
  let opening: Opening | undefined;
  socket.on('error', () => undefined);
  try {
    bytes += await respond(socket, random, (said) => (opening = said));
    whole += 1;
  } catch (error) {
    if (opening?.leaves === true && !(error instanceof Mismatch)) left += 1;
    else book(error, beganMs, opening);
  } finally {
    socket.destroy();
    open -= 1;
    leaveIfDone();
  }
}

const server = net.createServer({ allowHalfOpen: true }, (socket) => void serve(socket));

process.on('message', (message: ToMember) => {
  if (message.kind === 'report') report();
  else {
    stopping = true;
    server.close();
    leaveIfDone();
  }
});
// The supervisor is gone: so are we.
process.on('disconnect', () => process.exit(1));

if (options.role === 'client') {
  tell({ kind: 'ready' });
  for (let i = 0; i < options.connections; i++) void client();
} else {
  const path = options.listen.includes('/') ? options.listen : undefined;
  if (path !== undefined) fs.rmSync(path, { force: true });
  server.listen(path === undefined ? { port: Number(options.listen), host: HOST } : { path }, () => {
    tell({ kind: 'ready' });
  });
}
