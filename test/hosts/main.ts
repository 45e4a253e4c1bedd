/**
 * `npm run test:hosts`: programs on two hosts that share a file system and no network.
 *
 * Runs itself again in network, mount and pid namespaces of its own (enclosure.ts): all that it mounts and starts is
 * gone when it ends, however it ends.
 */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { CASES } from './cases';
import { efficiencyTable, measureEfficiency } from './efficiency';
import { endWithOuter, enter, insideDirectory } from './enclosure';
import { glusterStand } from './gluster';
import { type Stand } from './host';
import { nfsStand } from './nfs';
import { p9Stand } from './p9';
import { installFor, obstacle, STAND_NAMES, type StandName } from './requirements';
import { Scene } from './scene';
import { soakStand } from './soak';
import { virtiofsStand } from './virtiofs';

const USAGE = `usage: npm run test:hosts -- [options]
  --install        install the Debian packages that are missing, and fetch a kernel (needs root, and a network)
  --stand NAME     only on these hosts: ${STAND_NAMES.join(', ')}; may be repeated
  --filter TEXT    only cases with this in their title
  --quick          a part of the work, without the cases that wait for long
  --soak MINUTES   instead of the cases: random traffic, kills and hand-overs between processes on both hosts
  --kill-ms N      so often a process is killed in it (default 1000)
  --bench          instead of the cases: what a socket costs, as ratios to plain files on the same mount
  --help           this text`;

const QUICK_SCALE = 0.125;
/** Emulated processors take ten times as long. */
const CASE_MS_MAX = 600_000;
/** Nothing was tried: neither a success nor a failure. */
const EXIT_NOTHING_RAN = 77;
const STANDS: Readonly<Record<StandName, (directory: string) => Promise<Stand>>> = {
  gluster: glusterStand,
  nfs: nfsStand,
  virtiofs: virtiofsStand,
  p9: p9Stand,
};

interface Plan {
  readonly install: boolean;
  readonly quick: boolean;
  readonly filter: string;
  readonly soakMinutes: number | undefined;
  readonly killEveryMs: number;
  readonly bench: boolean;
  readonly stands: readonly StandName[];
}

/** What goes to the program inside of its namespaces. */
interface Errand {
  readonly plan: Plan;
  /** Stands that can't start here. */
  readonly skipped: number;
}

/** What is to be taken down before the end. */
const standing = new Set<Stand>();

interface Tally {
  passed: number;
  failed: number;
  readonly skipped: number;
}

const say = (text: string): void => {
  process.stdout.write(`${text}\n`);
};

function planOf(args: string[]): Plan | undefined {
  const { values } = parseArgs({
    args,
    options: {
      install: { type: 'boolean', default: false },
      quick: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
      filter: { type: 'string', default: '' },
      soak: { type: 'string' },
      bench: { type: 'boolean', default: false },
      'kill-ms': { type: 'string', default: '1000' },
      stand: { type: 'string', multiple: true, default: [] },
    },
  });
  if (values.help) return undefined;
  const wrong = values.stand.find((name) => !(STAND_NAMES as readonly string[]).includes(name));
  if (wrong !== undefined) throw new Error(`--stand ${wrong}: must be one of ${STAND_NAMES.join(', ')}`);
  const stands = STAND_NAMES.filter((name) => values.stand.length === 0 || values.stand.includes(name));
  const soakMinutes = values.soak === undefined ? undefined : numberOf('--soak', values.soak);
  const { install, quick, filter, bench } = values;
  return { install, quick, filter, bench, stands, soakMinutes, killEveryMs: numberOf('--kill-ms', values['kill-ms']) };
}

function numberOf(option: string, text: string): number {
  const value = Number(text);
  if (!(Number.isFinite(value) && value > 0)) throw new Error(`${option} ${text}: must be a number above 0`);
  return value;
}

async function withinLimit(work: Promise<string>): Promise<string> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`not done after ${CASE_MS_MAX / 1000} s`));
    }, CASE_MS_MAX);
  });
  try {
    return await Promise.race([work, limit]);
  } finally {
    clearTimeout(timer);
  }
}

async function runCases(stand: Stand, { quick, filter }: Plan, tally: Tally): Promise<void> {
  let number = 0;
  for (const one of CASES) {
    number += 1;
    if (!one.title.includes(filter) || (quick && one.long === true)) continue;
    const scene = new Scene(stand, `region-${number}`, quick ? QUICK_SCALE : 1);
    const began = performance.now();
    try {
      const told = await withinLimit(one.run(scene));
      tally.passed += 1;
      say(`ok      ${one.title} (${((performance.now() - began) / 1000).toFixed(1)} s): ${told}`);
    } catch (error) {
      tally.failed += 1;
      say(
        `FAILED  ${one.title} (${((performance.now() - began) / 1000).toFixed(1)} s): ` +
          (error instanceof Error ? (error.stack ?? error.message) : String(error)),
      );
    } finally {
      await scene.close();
    }
  }
}

async function runStand(name: StandName, inside: string, plan: Plan, tally: Tally): Promise<void> {
  const directory = path.join(inside, name);
  fs.mkdirSync(directory);
  let stand: Stand | undefined;
  const began = performance.now();
  try {
    stand = await STANDS[name](directory);
    standing.add(stand);
    say(`== ${stand.title}, up after ${((performance.now() - began) / 1000).toFixed(1)} s`);
    if (plan.bench) {
      say(efficiencyTable(await measureEfficiency(stand, say)));
      tally.passed += 1;
    } else if (plan.soakMinutes === undefined) await runCases(stand, plan, tally);
    else if (await soakStand(stand, plan.soakMinutes, plan.killEveryMs)) tally.passed += 1;
    else tally.failed += 1;
  } catch (error) {
    tally.failed += 1;
    say(`FAILED  ${name}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  } finally {
    await stand?.close();
    if (stand !== undefined) standing.delete(stand);
    removeQuietly(directory);
  }
}

/** What a stand that failed to come up leaves mounted goes with our mount namespace; its directory may stay. */
function removeQuietly(directory: string): void {
  try {
    fs.rmSync(directory, { recursive: true, force: true });
  } catch (error) {
    say(`${directory} stays: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function isPossible(name: StandName): boolean {
  const why = obstacle(name);
  if (why !== undefined) say(`SKIPPED ${name}: ${why}`);
  return why === undefined;
}

async function runInside(inside: string, { plan, skipped }: Errand): Promise<number> {
  endWithOuter(() => Promise.all([...standing].map((stand) => stand.close())));
  spawnSync('ip', ['link', 'set', 'lo', 'up']);
  const tally: Tally = { passed: 0, failed: 0, skipped };
  for (const name of plan.stands) await runStand(name, inside, plan, tally);
  sayTally(tally);
  return tally.failed === 0 && tally.passed > 0 ? 0 : 1;
}

function sayTally({ passed, failed, skipped }: Tally): void {
  say(`${passed} passed, ${failed} failed, ${skipped} skipped`);
}

async function main(): Promise<number> {
  const args = process.argv.slice(2);
  const inside = insideDirectory();
  if (inside !== undefined) return runInside(inside, JSON.parse(args[0] ?? '') as Errand);
  const plan = planOf(args);
  if (plan === undefined) {
    say(USAGE);
    return 0;
  }
  if (plan.install) installFor(plan.stands);
  const stands = plan.stands.filter(isPossible);
  const skipped = plan.stands.length - stands.length;
  if (stands.length > 0)
    return enter(__filename, [JSON.stringify({ plan: { ...plan, stands }, skipped } satisfies Errand)]);
  sayTally({ passed: 0, failed: 0, skipped });
  return EXIT_NOTHING_RAN;
}

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    say(`test:hosts: ${error instanceof Error ? error.message : String(error)}\n${USAGE}`);
    process.exit(2);
  },
);
