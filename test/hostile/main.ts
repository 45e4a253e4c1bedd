/**
 * Damaged and hostile regions: `npm run fuzz:region -- --inputs N --damages N --seed S`. Inputs go to the decoders, of
 * which `--only NAME` takes one; damages are done to the files of live processes, for each driver or the one that
 * `--driver` names. A finding says with what it is run again. Ends with one line, and 1 where anything was found.
 */
import { commandLine } from '../../scripts/command-line';
import { loadNative } from '../../src/storage';
import { memoryDirectory } from '../memory-directory';
import { fuzzDecoders } from './decoder-fuzz';
import { fuzzLive } from './live-fuzz';

const GROWN_BYTES_MAX = 64 << 20;

interface Numbers {
  readonly seed: number;
  readonly inputs: number;
  readonly damages: number;
  readonly only: string | undefined;
  readonly drivers: readonly Driver[];
}

const DRIVERS = ['mapped', 'direct'] as const;
type Driver = (typeof DRIVERS)[number];

function numberOf(name: string, text: string | undefined, otherwise: number): number {
  if (text === undefined) return otherwise;
  const value = Number(text);
  if (text === '' || !Number.isSafeInteger(value) || value < 0)
    throw new Error(`--${name} ${text}: must be a whole number`);
  return value;
}

const USAGE = `usage: npm run fuzz:region -- [options]
  --inputs N      so many for the decoders (default 1000000)
  --damages N     so many to the files of live processes, for each driver (default 1000)
  --driver NAME   only damages with this driver: mapped, direct
  --only NAME     only this decoder, and no live processes
  --seed N        plays a run again (default: random, or STP_SEED)`;

const OPTIONS = {
  inputs: { type: 'string' },
  damages: { type: 'string' },
  seed: { type: 'string' },
  driver: { type: 'string' },
  only: { type: 'string' },
} as const;

function numbersOf(values: Partial<Record<keyof typeof OPTIONS, string>>): Numbers {
  const seed = numberOf('seed', values.seed ?? process.env['STP_SEED'], Math.floor(Math.random() * 0x4000_0000));
  const drivers = DRIVERS.filter((name) => values.driver === undefined || values.driver === name);
  if (drivers.length === 0) throw new Error(`--driver ${values.driver ?? ''}: must be one of ${DRIVERS.join(', ')}`);
  return {
    seed,
    drivers,
    inputs: numberOf('inputs', values.inputs, 1_000_000),
    damages: numberOf('damages', values.damages, values.only === undefined ? 1000 : 0),
    only: values.only,
  };
}

function tellFindings(findings: readonly string[], grownBytes: number): number {
  const all = grownBytes < GROWN_BYTES_MAX ? findings : [...findings, `memory grew by ${grownBytes} bytes`];
  for (const finding of all) console.log(`FOUND ${finding}`);
  return all.length;
}

function decoders({ seed, inputs, only }: Numbers, seconds: () => string): number {
  const report = fuzzDecoders({
    seed,
    inputs,
    only,
    progress: (done) => {
      console.log(`${done} inputs after ${seconds()} s`);
    },
  });
  const found = tellFindings(report.findings, report.grownBytes);
  console.log(
    `decoders: ${report.inputs} inputs, ${report.refused} refused, ${found} findings; ` +
      `slowest ${report.slowestMs.toFixed(1)} ms, memory ${(report.grownBytes / 1e6).toFixed(1)} MB more`,
  );
  return found;
}

async function live({ seed, damages }: Numbers, driver: Driver, seconds: () => string): Promise<number> {
  if (driver === 'mapped' && loadNative() === undefined) {
    console.log('mapped: LEFT OUT, koffi is missing');
    return 0;
  }
  const report = await fuzzLive({
    seed,
    damages,
    driver,
    under: memoryDirectory(),
    progress: (done) => {
      console.log(`${driver}: ${done} damages after ${seconds()} s`);
    },
  });
  const found = tellFindings(report.findings, report.grownBytes);
  const outcomes = [...report.outcomes]
    .sort(([, a], [, b]) => b - a)
    .map(([outcome, times]) => `${outcome.trimEnd()} ${times}`);
  console.log(
    `${driver}: ${report.damages} damages, ${found} findings; ` +
      `slowest ${report.slowestMs.toFixed(0)} ms, memory ${(report.grownBytes / 1e6).toFixed(1)} MB more; ` +
      outcomes.join(', '),
  );
  return found;
}

async function main(): Promise<void> {
  const numbers = commandLine(USAGE, OPTIONS, numbersOf);
  console.log(`seed ${numbers.seed}`);
  const began = performance.now();
  const seconds = (): string => ((performance.now() - began) / 1000).toFixed(0);
  let found = numbers.inputs > 0 ? decoders(numbers, seconds) : 0;
  if (numbers.damages > 0) for (const driver of numbers.drivers) found += await live(numbers, driver, seconds);
  console.log(`${found} findings in ${seconds()} s`);
  process.exitCode = found > 0 ? 1 : 0;
}

void main();
