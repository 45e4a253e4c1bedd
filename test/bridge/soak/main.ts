/**
 * `npm run soak:bridge -- --minutes N` (or `--seconds N`, `--seed S`, `--kill-ms M`): TCP clients and servers talk
 * through pairs of bridges by -L, SOCKS and HTTP, while bridges, servers and clients are killed at random and started
 * again. Every byte is checked, each cut needs a death, and bridges that live on may not grow. Ends with one line, and
 * with 1 where anything was wrong.
 */
import fs from 'node:fs';
import path from 'node:path';
import { commandLine } from '../../../scripts/command-line';
import { memoryDirectory } from '../../memory-directory';
import { median } from '../../soak/flat';
import { oneHost } from '../../soak/place';
import { leftBehind } from '../../soak/verdict';
import { BridgeSoak } from './soak';

const USAGE = `usage: npm run soak:bridge -- [options]
  --minutes N     how long (default 2)
  --seconds N     the same in seconds
  --kill-ms N     so often a process is killed, on average (default 1500)
  --port N        first of nine TCP ports that are free (default 23400)
  --seed N        of what is random (default: random)`;

const OPTIONS = {
  minutes: { type: 'string' },
  seconds: { type: 'string' },
  seed: { type: 'string' },
  port: { type: 'string' },
  'kill-ms': { type: 'string' },
} as const;

const PROGRESS_MS = 30_000;

function numberOf(name: string, text: string | undefined, otherwise: number, least: number): number {
  const value = text === undefined ? otherwise : Number(text);
  if (text === '' || !Number.isFinite(value) || value < least)
    throw new Error(`--${name} ${text ?? ''}: must be a number from ${least}`);
  return value;
}

interface Plan {
  readonly seconds: number;
  readonly seed: number;
  readonly killEveryMs: number;
  readonly firstPort: number;
}

function planOf(values: Partial<Record<keyof typeof OPTIONS, string>>): Plan {
  return {
    seconds:
      values.seconds === undefined
        ? numberOf('minutes', values.minutes, 2, 0.1) * 60
        : numberOf('seconds', values.seconds, 0, 1),
    seed: numberOf('seed', values.seed, Math.floor(Math.random() * 1_000_000), 0),
    killEveryMs: numberOf('kill-ms', values['kill-ms'], 1500, 10),
    firstPort: numberOf('port', values.port, 23_400, 1),
  };
}

async function main(): Promise<void> {
  const { seconds, seed, killEveryMs, firstPort } = commandLine(USAGE, OPTIONS, planOf);
  const directory = fs.mkdtempSync(path.join(memoryDirectory(), 'stp-soak-'));
  const region = path.join(directory, 'region');
  console.log(`seed ${seed}, ${seconds} s, a kill every ${killEveryMs} ms`);
  const soak = new BridgeSoak({ place: { directory, region, seed, firstPort }, seconds, killEveryMs });
  const beganMs = performance.now();
  const progress = setInterval(() => {
    const { whole, bytes, left, failures } = soak.books;
    console.log(
      `${Math.round((performance.now() - beganMs) / 1000)} s: ${soak.kills} kills, ${whole} ends of connections ` +
        `whole, ${left} left early, ${(bytes / 1e9).toFixed(2)} GB, ${failures.length} failures`,
    );
  }, PROGRESS_MS);
  try {
    await soak.run();
    const left = await leftBehind(oneHost(region));
    if (left.length > 0) soak.books.fail(`left behind: ${left.slice(0, 10).join(', ')}`);
  } finally {
    clearInterval(progress);
    soak.abort();
    fs.rmSync(directory, { recursive: true, force: true });
  }
  process.exitCode = conclude(soak, seconds) ? 0 : 1;
}

function conclude({ books, kills, verdicts }: BridgeSoak, seconds: number): boolean {
  for (const verdict of verdicts) console.log(verdict);
  const { failures, noticesMs, whole, cut, left, bytes } = books;
  if (whole === 0) books.fail('no connection came to its end');
  console.log(
    `soak: ${seconds} s, ${kills} kills, ${whole} ends of connections whole, ${left} left early as meant, ` +
      `${cut} cut by a death (told within ${median(noticesMs).toFixed(0)} ms, at worst ` +
      `${Math.max(0, ...noticesMs).toFixed(0)}), ${(bytes / 1e9).toFixed(2)} GB checked, ${failures.length} failed`,
  );
  return failures.length === 0;
}

main().catch((error: unknown) => {
  console.error(error);
  // The processes end when their channel does.
  process.exit(1);
});
