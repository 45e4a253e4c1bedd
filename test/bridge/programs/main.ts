/**
 * `npm run test:bridge`: real programs (redis, nginx, PostgreSQL, OpenSSH, git, curl, Chromium) through a pair of
 * bridges. A line for each; 1 where one failed, 77 where nothing could run.
 */
import { spawnSync } from 'node:child_process';
import { commandLine } from '../../../scripts/command-line';
import { type Case, CASES, missing } from './cases';
import { Stage } from './stage';

const NAMES = CASES.map(({ name }) => name).join(', ');
const USAGE = `usage: npm run test:bridge -- [options]
  --only NAME     one of ${NAMES}; may be repeated
  --install       install the Debian packages that are missing (needs root, and a network)
  --json          print one JSON document for each`;

const OPTIONS = {
  only: { type: 'string', multiple: true },
  install: { type: 'boolean' },
  json: { type: 'boolean' },
} as const;
const EXIT_NOTHING_RAN = 77;

interface Plan {
  readonly cases: readonly Case[];
  readonly install: boolean;
  readonly json: boolean;
}

function planOf(values: { only?: string[]; install?: boolean; json?: boolean }): Plan {
  const { only = [] } = values;
  const wrong = only.find((name) => !CASES.some((one) => one.name === name));
  if (wrong !== undefined) throw new Error(`--only ${wrong}: must be one of ${NAMES}`);
  return {
    cases: CASES.filter(({ name }) => only.length === 0 || only.includes(name)),
    install: values.install === true,
    json: values.json === true,
  };
}

function install(packages: readonly string[]): void {
  if (packages.length === 0) return;
  console.log(`installing ${packages.join(' ')}`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  for (const args of [
    ['-q', 'update'],
    ['-qy', 'install', '--no-install-recommends', ...packages],
  ]) {
    const { status, stderr } = spawnSync('apt-get', args, { env, encoding: 'utf8' });
    if (status !== 0) console.log(`apt-get ${args[1] ?? ''} failed: ${stderr.trim().split('\n').at(-1) ?? ''}`);
  }
}

/** Undefined: what it needs is not here. */
async function play(one: Case): Promise<{ readonly ok: boolean; readonly told: string } | undefined> {
  if (missing(one).length > 0) return undefined;
  const stage = new Stage();
  try {
    return { ok: true, told: await one.run(stage) };
  } catch (error) {
    return { ok: false, told: error instanceof Error ? error.message : String(error) };
  } finally {
    await stage.close();
  }
}

async function main(): Promise<void> {
  const { cases, install: installs, json } = commandLine(USAGE, OPTIONS, planOf);
  if (installs) install([...new Set(cases.flatMap(missing))]);
  const counts = { passed: 0, failed: 0, skipped: 0 };
  for (const one of cases) {
    const beganMs = performance.now();
    const result = await play(one);
    const seconds = Number(((performance.now() - beganMs) / 1000).toFixed(1));
    const outcome = result === undefined ? 'skipped' : result.ok ? 'passed' : 'failed';
    counts[outcome] += 1;
    const told = result?.told ?? `missing; --install installs: ${missing(one).join(' ')}`;
    console.log(
      json
        ? JSON.stringify({ name: one.name, outcome, seconds, told })
        : `${outcome}  ${one.name} (${seconds} s): ${told}`,
    );
  }
  if (!json) console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
  process.exitCode = counts.failed > 0 ? 1 : counts.passed > 0 ? 0 : EXIT_NOTHING_RAN;
}

void main();
