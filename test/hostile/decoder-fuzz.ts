/**
 * Damaged input for every decoder of bytes from the region: each input gives a checked value or the declared error, and
 * nothing is kept.
 */
import { Worker } from 'node:worker_threads';
import { StpError } from '../../src/errors';
import { Random } from '../engine/random';
import { controlTargets } from './control-targets';
import { logTargets } from './log-targets';
import { recordTarget } from './record-targets';
import { type Target } from './target';

export interface DecoderReport {
  readonly inputs: number;
  /** Inputs that were refused with a declared error. */
  readonly refused: number;
  /** Heap, buffers and other memory at the end less those after the first tenth, bytes. */
  readonly grownBytes: number;
  readonly slowestMs: number;
  /** One line each. */
  readonly findings: readonly string[];
}

export interface DecoderRun {
  readonly seed: number;
  readonly inputs: number;
  /** Name of the one target; undefined: all in turn. */
  readonly only?: string | undefined;
  readonly progress?: (done: number) => void;
}

/** An input that takes so long is taken for endless, milliseconds. */
const ENDLESS_MS = 30_000;
const FINDINGS_MAX = 10;
const PROGRESS_INPUTS = 100_000;

export function allTargets(): Target[] {
  return [...controlTargets(), ...logTargets(), recordTarget()];
}

/** Ends the process, with the input in question, where one never comes to its end: a loop can't be left from inside. */
function watchdog(): { beat: (input: number) => void; stop: () => void } {
  const word = new Int32Array(new SharedArrayBuffer(4));
  const source = `const { workerData: word } = require('node:worker_threads'); let last = -1;
    setInterval(() => {
      const now = Atomics.load(word, 0);
      if (now === last) {
        require('node:fs').writeSync(2, 'ENDLESS: input ' + now + '\\n');
        process.kill(process.pid, 'SIGKILL');
      }
      last = now;
    }, ${ENDLESS_MS});`;
  const worker = new Worker(source, { eval: true, workerData: word });
  worker.unref();
  return {
    beat: (input) => {
      Atomics.store(word, 0, input);
    },
    stop: () => {
      void worker.terminate();
    },
  };
}

function memoryBytes(): number {
  globalThis.gc?.();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** One input: '' where all is well, 'refused', or what went wrong. */
function tryInput(target: Target, seed: number): string {
  try {
    target.run(new Random(seed), seed);
    return '';
  } catch (error) {
    if (error instanceof StpError && target.errors.includes(error.code)) return 'refused';
    const again =
      target.firstSeed === undefined ? `--seed ${seed} --inputs 1` : `--seed ${target.firstSeed()} --inputs 1000`;
    const why = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return `--only '${target.name}' ${again}: ${why}`;
  }
}

export function fuzzDecoders({ seed, inputs, only, progress }: DecoderRun): DecoderReport {
  const targets = allTargets().filter(({ name }) => only === undefined || name === only);
  if (targets.length === 0)
    throw new Error(
      `no target is called ${String(only)}; there are: ${allTargets()
        .map(({ name }) => name)
        .join(', ')}`,
    );
  const findings: string[] = [];
  const dog = watchdog();
  let refused = 0;
  let slowestMs = 0;
  let settledBytes = memoryBytes();
  let done = 0;
  for (; done < inputs && findings.length < FINDINGS_MAX; done++) {
    dog.beat(done);
    const target = targets[done % targets.length];
    if (target === undefined) break;
    const began = performance.now();
    const outcome = tryInput(target, seed + done);
    slowestMs = Math.max(slowestMs, performance.now() - began);
    if (outcome === 'refused') refused++;
    else if (outcome !== '') findings.push(outcome);
    if (done === Math.floor(inputs / 10)) settledBytes = memoryBytes();
    if (done % PROGRESS_INPUTS === PROGRESS_INPUTS - 1) progress?.(done + 1);
  }
  dog.stop();
  return { inputs: done, refused, grownBytes: memoryBytes() - settledBytes, slowestMs, findings };
}
