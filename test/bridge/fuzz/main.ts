/**
 * `npm run fuzz:bridge -- --inputs N --seed S`: what clients may say to the proxies of a bridge, right and wrong, whole
 * and cut off, split anywhere. The code of the handshakes is played with in memory, and a share goes to a bridge by
 * real sockets. None may crash it, hang in it, let it grow, or be connected without a valid request. Ends with one
 * line, and with 1 where anything was found.
 */
import fs from 'node:fs';
import path from 'node:path';
import { commandLine } from '../../../scripts/command-line';
import { memoryDirectory } from '../../memory-directory';
import { fuzzHandshakes } from './handshakes';
import { fuzzSockets } from './sockets';

const USAGE = `usage: npm run fuzz:bridge -- [options]
  --inputs N      so many in memory (default 1000000)
  --sockets N     so many over real sockets (default: one of 200)
  --seed N        plays a run again (default: random)`;

const OPTIONS = { inputs: { type: 'string' }, sockets: { type: 'string' }, seed: { type: 'string' } } as const;
const GROWN_BYTES_MAX = 64 << 20;
const FINDINGS_SHOWN = 20;

interface Plan {
  readonly inputs: number;
  readonly sockets: number;
  readonly seed: number;
}

function numberOf(name: string, text: string | undefined, otherwise: number): number {
  const value = text === undefined ? otherwise : Number(text);
  if (text === '' || !Number.isSafeInteger(value) || value < 0)
    throw new Error(`--${name} ${text ?? ''}: must be a whole number`);
  return value;
}

function planOf(values: Partial<Record<keyof typeof OPTIONS, string>>): Plan {
  const inputs = numberOf('inputs', values.inputs, 1_000_000);
  return {
    inputs,
    sockets: numberOf('sockets', values.sockets, Math.floor(inputs / 200)),
    seed: numberOf('seed', values.seed, Math.floor(Math.random() * 0x4000_0000)),
  };
}

function heapBytes(): number {
  (globalThis as { gc?: () => void }).gc?.();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

async function inSockets({ seed, sockets }: Plan): Promise<string[]> {
  const directory = fs.mkdtempSync(path.join(memoryDirectory(), 'stp-fuzz-'));
  const teardowns: (() => unknown)[] = [];
  try {
    const test = { teardown: (fn: () => unknown) => void teardowns.push(fn) };
    return await fuzzSockets(test, path.join(directory, 'region'), seed, sockets);
  } finally {
    for (const fn of teardowns) await fn();
    fs.rmSync(directory, { recursive: true, force: true });
  }
}

async function main(): Promise<void> {
  const plan = commandLine(USAGE, OPTIONS, planOf);
  console.log(`seed ${plan.seed}`);
  const unhandled: string[] = [];
  process.on('unhandledRejection', (reason) => unhandled.push(`unhandled rejection: ${String(reason)}`));
  process.on('uncaughtException', (error) => unhandled.push(`uncaught: ${error.stack ?? error.message}`));
  const beganMs = performance.now();
  const seconds = (): number => (performance.now() - beganMs) / 1000;
  const before = heapBytes();
  const { findings, dialled } = await fuzzHandshakes({
    ...plan,
    progress: (done) => {
      console.log(`${done} inputs after ${seconds().toFixed(0)} s`);
    },
  });
  const rate = plan.inputs / seconds();
  const grown = heapBytes() - before;
  if (grown > GROWN_BYTES_MAX) findings.push(`memory grew by ${grown} bytes`);
  if (plan.sockets > 0) findings.push(...(await inSockets(plan)));
  findings.push(...unhandled);
  for (const finding of findings.slice(0, FINDINGS_SHOWN)) console.log(`FOUND ${finding}`);
  console.log(
    `fuzz: ${plan.inputs} inputs in memory (${rate.toFixed(0)} a second, ${dialled} dialled), ${plan.sockets} over ` +
      `sockets, memory ${(grown / 1e6).toFixed(1)} MB more, ${findings.length} findings in ${seconds().toFixed(0)} s`,
  );
  process.exitCode = findings.length > 0 ? 1 : 0;
}

void main();
