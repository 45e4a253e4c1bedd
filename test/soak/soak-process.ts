/**
 * A process of a soak: serves at its port, talks to the others at random, takes over what they hand to it, and reports.
 * `argv`: slot, life, seed, slots, connections at once, bytes at most.
 */
import fs from 'node:fs';
import * as stp from '../../src/index';
import { Random } from '../engine/random';
import { hangUp, listen, tell } from './channel';
import { ask, drain, Mismatch, readOpening, respond, STALL_MS } from './conversation';
import {
  type HandOver,
  type Life,
  type Memory,
  nowMs,
  type Opening,
  portOf,
  type Reset,
  type ToProcess,
} from './messages';

const PAUSE_MS_MAX = 40;
/** On a machine without a processor to spare an answer may take long. */
const CONNECT_MS_MAX = 120_000;
const GIVE_MS = 2000;
/** What the death of the other end, or of one on the way, may show as. */
const OF_DEATH: ReadonlySet<string> = new Set(['ECONNRESET', 'ECONNREFUSED', 'EPIPE', 'EBADF']);

const [slot = 0, life = 0, seed = 0, slots = 0, connections = 0, bytesMax = 0] = process.argv.slice(2).map(Number);
const self: Life = { slot, life };
const random = new Random(seed * 1000 + slot * 100 + life);

let whole = 0;
let bytes = 0;
let taken = 0;
let resets: Reset[] = [];
let failures: string[] = [];
let open = 0;
let stopping = false;
let listener = -1;

/** Runs one connection to its end, and notes how that was. */
async function converse(
  what: string,
  run: () => Promise<number>,
  other: () => Life | undefined,
  asked?: number,
): Promise<void> {
  const beganMs = nowMs();
  open += 1;
  const watchdog = setTimeout(() => {
    failures.push(`${slot}.${life}: ${what} hangs`);
  }, STALL_MS);
  try {
    bytes += await run();
    whole += 1;
  } catch (error) {
    const code = error instanceof stp.StpError ? error.code : 'other';
    if (!(error instanceof Mismatch) && OF_DEATH.has(code))
      resets.push({ by: other(), asked, code, beganMs, atMs: nowMs() });
    else failures.push(`${slot}.${life}: ${what}: ${error instanceof Error ? error.message : String(error)}`);
  } finally {
    clearTimeout(watchdog);
    open -= 1;
    if (stopping && open === 0) leave();
  }
}

async function quietly(s: number, act: () => Promise<void>): Promise<void> {
  try {
    await act();
  } catch (error) {
    await stp.STPclose(s).catch(() => undefined);
    throw error;
  }
}

async function client(): Promise<void> {
  while (!stopping) {
    const to = random.below(slots);
    const opening: Opening = {
      ...self,
      stream: random.below(100_000) * 2,
      bytes: random.chance(0.4) ? random.below(2000) : random.below(bytesMax),
      moves: random.chance(0.1),
    };
    let server: Life | undefined;
    await converse(
      `a question to ${to}`,
      async () => {
        const s = stp.STPsocket(stp.PF_STP, stp.SOCK_STREAM, stp.PF_STP);
        await quietly(s, async () => {
          stp.STPsetopt(s, stp.STP_CONNECT_TIMEOUT, CONNECT_MS_MAX);
          await stp.STPconnect(s, { port: portOf(to) });
          await ask(s, random, opening, (met) => {
            server = met;
          });
        });
        return 2 * opening.bytes;
      },
      () => (opening.moves ? undefined : server),
      to,
    );
    await new Promise((resolve) => {
      setTimeout(resolve, random.below(PAUSE_MS_MAX));
    });
  }
}

async function serve(s: number): Promise<void> {
  let opening: Opening | undefined;
  await converse(
    'an answer',
    async () => {
      await quietly(s, async () => {
        opening = await readOpening(s);
        if (opening.moves) await handOver(s, opening);
        else await respond(s, random, self, opening, 0);
      });
      return 2 * (opening?.bytes ?? 0);
    },
    () => (opening?.moves === true ? undefined : opening),
  );
}

/** Reads a part of the question, and gives the rest to another; answers it itself where nobody wants it. */
async function handOver(s: number, opening: Opening): Promise<void> {
  const at = random.below(opening.bytes + 1);
  await drain(s, opening.stream, 0, at);
  stp.STPsetopt(s, stp.STP_GIVE_TIMEOUT, GIVE_MS);
  const news = new Promise<boolean>((resolve, reject) => {
    stp.STPsetopt(s, stp.STP_WATCHER, {
      taken: resolve,
      reset: () => {
        reject(new stp.StpError('ECONNRESET'));
      },
    });
  });
  tell({ kind: 'handOver', to: random.below(slots), token: stp.STPgivesocket(s, null), opening, at });
  if (!(await news)) await respond(s, random, self, opening, at);
}

async function takeOver({ token, opening, at }: HandOver): Promise<void> {
  await converse(
    'a take',
    async () => {
      const s = await stp.STPtakesocket(token);
      taken += 1;
      await quietly(s, () => respond(s, random, self, opening, at));
      return 0;
    },
    () => undefined,
  );
}

function memory(): Memory {
  (globalThis as { gc?: () => void }).gc?.();
  const { heapUsed, external, rss } = process.memoryUsage();
  return {
    heapBytes: heapUsed + external,
    residentBytes: rss,
    descriptors: fs.existsSync('/proc/self/fd') ? fs.readdirSync('/proc/self/fd').length : 0,
    mappings: fs.existsSync('/proc/self/maps') ? fs.readFileSync('/proc/self/maps', 'latin1').split('\n').length : 0,
  };
}

function report(): void {
  tell({ kind: 'report', whole, bytes, taken, resets, failures, memory: memory() });
  [whole, bytes, taken, resets, failures] = [0, 0, 0, [], []];
}

function leave(): void {
  report();
  void stp.STPclose(listener).catch(() => undefined);
  hangUp();
}

function hear(message: ToProcess): void {
  if (message.kind === 'handOver') void takeOver(message);
  else if (message.kind === 'report') report();
  else if (!stopping) {
    stopping = true;
    if (open === 0) leave();
  }
}

// The supervisor is gone: so are we.
listen(hear, () => process.exit(1));

listener = stp.STPsocket(stp.PF_STP, stp.SOCK_STREAM, stp.PF_STP);
stp.STPbind(listener, { port: portOf(slot) });
stp.STPlisten(listener, 511);
stp.STPsetopt(listener, stp.STP_WATCHER, {
  acceptable: () => {
    for (
      let s = stp.STPaccept(listener, stp.MSG_DONTWAIT) as number;
      s >= 0;
      s = stp.STPaccept(listener, stp.MSG_DONTWAIT) as number
    )
      void serve(s);
  },
});
tell({ kind: 'ready' });
for (let i = 0; i < connections; i++) void client();
