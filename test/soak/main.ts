/**
 * `npm run soak -- --minutes N` (or `--seconds N`, `--seed S`, `--kill-ms M`, `--directory D`): random traffic over 8
 * processes of which one is killed every second and started again; every byte is checked, and neither region nor memory
 * may grow. Ends with one line, and with 1 where anything was wrong. Between two hosts: `npm run test:hosts -- --soak
 * N`.
 */
import fs from 'node:fs';
import path from 'node:path';
import { commandLine } from '../../scripts/command-line';
import { memoryDirectory } from '../memory-directory';
import { oneHost } from './place';
import { Soak } from './soak';
import { runSoak } from './verdict';

function numberOf(name: string, text: string | undefined, otherwise: number, least: number): number {
  const value = text === undefined ? otherwise : Number(text);
  if (!Number.isFinite(value) || value < least)
    throw new Error(`--${name} ${text ?? ''}: must be a number from ${least}`);
  return value;
}

const USAGE = `usage: npm run soak -- [options]
  --minutes N     how long (default 2)
  --seconds N     the same in seconds
  --kill-ms N     so often a process is killed (default 1000)
  --directory DIR where the region lies (default: memory)
  --seed N        of what is random (default: random)`;

const OPTIONS = {
  minutes: { type: 'string' },
  seconds: { type: 'string' },
  seed: { type: 'string' },
  'kill-ms': { type: 'string' },
  directory: { type: 'string' },
} as const;

interface Plan {
  readonly seconds: number;
  readonly seed: number;
  readonly killEveryMs: number;
  readonly directory: string;
}

function plan(values: Partial<Record<keyof typeof OPTIONS, string>>): Plan {
  return {
    seconds:
      values.seconds === undefined
        ? numberOf('minutes', values.minutes, 2, 0.1) * 60
        : numberOf('seconds', values.seconds, 0, 1),
    seed: numberOf('seed', values.seed, Math.floor(Math.random() * 1_000_000), 0),
    killEveryMs: numberOf('kill-ms', values['kill-ms'], 1000, 10),
    directory: values.directory ?? memoryDirectory(),
  };
}

async function main(): Promise<void> {
  const { seconds, seed, killEveryMs, directory } = commandLine(USAGE, OPTIONS, plan);
  const parent = fs.mkdtempSync(path.join(directory, 'stp-soak-'));
  const region = path.join(parent, 'region');
  console.log(`seed ${seed}, ${seconds} s, a kill every ${killEveryMs} ms`);
  const place = oneHost(region);
  const soak = new Soak({
    place,
    seconds,
    seed,
    killEveryMs,
    log: (line) => {
      console.log(line);
    },
  });
  try {
    process.exitCode = (await runSoak(soak, place, seconds)) ? 0 : 1;
  } finally {
    fs.rmSync(parent, { recursive: true, force: true });
  }
}

main().catch((error: unknown) => {
  console.error(error);
  // The processes end when their channel does.
  process.exit(1);
});
