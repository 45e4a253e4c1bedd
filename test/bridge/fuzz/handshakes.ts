/** Plays inputs to the code of the handshakes itself, over connections in memory, many at a time. */
import { type Duplex } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { Credentials } from '../../../src/bridge/credentials';
import { HttpProxy } from '../../../src/bridge/http-proxy';
import { readSocks } from '../../../src/bridge/socks';
import { Random } from '../../engine/random';
import { type Asked, breach, type Input, inputOf, NAME, PASSWORD } from './inputs';
import { pair } from './pair';

export interface FuzzOptions {
  readonly seed: number;
  readonly inputs: number;
  readonly progress: (done: number) => void;
}

export interface FuzzReport {
  readonly findings: string[];
  dialled: number;
}

/** A share of what reads HTTP, which takes ten times as long. */
const HTTP_SHARE = 0.15;
const AT_ONCE = 200;
const HANDSHAKE_MS = 100;
/** What comes to no end within this hangs. */
const HANG_MS = 10_000;
const PROGRESS_EVERY = 100_000;
/** Of one client, before it has said what it wants: a chunk of a stream. */
const KEPT_BYTES_MAX = 66_000;
const CREDENTIALS = new Credentials([`${NAME}:${PASSWORD}`]);
const ANSWER = 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n';

const say = async (client: Duplex, input: Input): Promise<void> => {
  for (const piece of input.pieces) {
    if (client.destroyed) return;
    client.write(piece);
    if (input.pieces.length > 1) await turn();
  }
  if (input.ends) client.end();
};

async function playSocks(input: Input, password: boolean): Promise<Asked[]> {
  const [client, server] = pair();
  client.on('error', () => undefined).resume();
  server.on('error', () => undefined);
  const dialled: Asked[] = [];
  const read = readSocks(server, password ? CREDENTIALS : undefined).then(
    (request) => {
      // UDP ASSOCIATE names where datagrams will come from, and no target.
      if (request.isUdp !== true) dialled.push(request.target);
      request.answer('ECONNREFUSED');
    },
    () => undefined,
  );
  await say(client, input);
  // It waits for more, or has come to its end: a client that goes must end it in any case.
  for (let i = 0; i < 4; i++) await turn();
  if (server.readableLength > KEPT_BYTES_MAX) throw new Error(`${server.readableLength} bytes are kept`);
  if (typeof input.wanted === 'string') server.destroy();
  await read;
  client.destroy();
  server.destroy();
  return dialled;
}

class HttpStage {
  readonly #dialled = new WeakMap<Duplex, Asked[]>();
  readonly #proxies = new Map<string, HttpProxy>();

  /** A valid request is waited for, however busy the machine is; any other is let go soon. */
  #proxy(password: boolean, isValid: boolean): HttpProxy {
    const name = `${password} ${isValid}`;
    const waitMs = isValid ? HANG_MS : HANDSHAKE_MS;
    const proxy =
      this.#proxies.get(name) ??
      new HttpProxy({
        credentials: password ? CREDENTIALS : undefined,
        handshakeTimeoutMs: waitMs,
        idleTimeoutMs: waitMs,
        rate: undefined,
        dial: (target, client) => Promise.resolve(this.#answer(target, client)),
      });
    this.#proxies.set(name, proxy);
    return proxy;
  }

  #answer(target: Asked, client: Duplex): Duplex {
    this.#dialled.get(client)?.push(target);
    const [near, far] = pair();
    far.on('error', () => undefined).resume();
    near.on('error', () => undefined);
    far.end(ANSWER);
    return near;
  }

  async play(input: Input, password: boolean): Promise<Asked[]> {
    const [client, server] = pair();
    const dialled: Asked[] = [];
    this.#dialled.set(server, dialled);
    client.on('error', () => undefined).resume();
    client.once('end', () => client.end());
    server.on('error', () => undefined);
    const over = this.#proxy(password, typeof input.wanted !== 'string').serve(server, 'a client');
    // It has its answer, and asks for nothing more.
    if (typeof input.wanted !== 'string') client.once('data', () => client.end());
    await say(client, input);
    await over;
    client.destroy();
    return dialled;
  }
}

function withinLimit<T>(work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(new Error('it comes to no end'));
    }, HANG_MS);
    work.then(resolve, reject).finally(() => {
      clearTimeout(timer);
    });
  });
}

/** Each input is drawn from the seed and its number alone. */
export async function fuzzHandshakes({ seed, inputs, progress }: FuzzOptions): Promise<FuzzReport> {
  const report: FuzzReport = { findings: [], dialled: 0 };
  const web = new HttpStage();
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < inputs) {
      const number = next++;
      if (number > 0 && number % PROGRESS_EVERY === 0) progress(number);
      const random = new Random(seed + number);
      const protocol = random.chance(HTTP_SHARE) ? 'http' : 'socks';
      const password = random.chance(0.3);
      const input = inputOf(protocol, password, random);
      let why: string | undefined;
      try {
        const dialled = await withinLimit(protocol === 'http' ? web.play(input, password) : playSocks(input, password));
        report.dialled += dialled.length;
        why = breach(input, password, dialled);
      } catch (error) {
        why = error instanceof Error ? error.message : String(error);
      }
      if (why !== undefined)
        report.findings.push(
          `${protocol}: ${why}; --seed ${seed + number} --inputs 1: ` +
            JSON.stringify(input.pieces.map((piece) => piece.toString('latin1'))),
        );
    }
  };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, inputs) }, work));
  return report;
}
