/**
 * Runs schedules of simulated networks until the time is over: `npm run fuzz -- --seconds N --seed S`, or
 * `--seed S --schedules 1` for one that failed; `--trace N` shows its last N events. Prints the seed of what it finds, with a trace of its end.
 */
import { parseArgs } from 'node:util';
import { failureOf } from '../test/engine/simulation';
import { newTally } from '../test/engine/tally';

function numberOf(name: string, text: string | undefined, otherwise: number): number {
  if (text === undefined) return otherwise;
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 0) throw new Error(`--${name} ${text}: must be a whole number`);
  return value;
}

function main(): void {
  const { values } = parseArgs({ options: { seconds: { type: 'string' }, seed: { type: 'string' }, schedules: { type: 'string' }, failures: { type: 'string' }, trace: { type: 'string' } } });
  const seed = numberOf('seed', values.seed ?? process.env['STP_SEED'], Math.floor(Math.random() * 0x4000_0000));
  const schedules = numberOf('schedules', values.schedules, Infinity);
  const seconds = numberOf('seconds', values.seconds, values.schedules === undefined ? 10 : Infinity);
  const failuresMax = numberOf('failures', values.failures, 1);
  const traceLines = numberOf('trace', values.trace, 60);
  console.log(`base seed ${seed}`);
  const tally = newTally();
  const began = performance.now();
  let done = 0;
  let failures = 0;
  while (done < schedules && performance.now() - began < seconds * 1000 && failures < failuresMax) {
    const failure = failureOf(seed + done, tally, traceLines);
    if (failure !== undefined) {
      failures++;
      console.log(`FAILED. Again with: npm run fuzz -- --seed ${seed + done} --schedules 1\n${failure}`);
    }
    done++;
  }
  console.log(JSON.stringify(tally));
  console.log(`${done} schedules, ${failures} failed, ${((performance.now() - began) / done).toFixed(2)} ms each`);
  process.exitCode = failures > 0 ? 1 : 0;
}

main();
