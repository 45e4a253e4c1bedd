/**
 * `npm run bench`: STP against loopback TCP and Unix sockets, in one run on one machine.
 *
 * The same two plain programs (server.ts, client.ts) run over each transport. Measurements of the transports take
 * turns, so that whatever else the machine does hits all of them. Before its rounds each transport warms up for some
 * seconds, which are not kept. What is told is the median of the rounds, and the ratio of STP to each of the others:
 * more than 1 is in favour of STP. What Node itself needs for some of the work is measured among them: the floor.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { defaultRegionDirectory } from '../src/region/options';
import { BENCH_NAMES, type BenchName, type BenchValues, FRESH } from './measures';
import { plot } from './plot';
import { type Metric, METRICS, type Result, resultsMarkdown, resultsTable } from './results';
import { Transport, TRANSPORT_NAMES, type TransportName } from './transport';

const USAGE = `usage: npm run bench -- [options]
  --json          print one JSON document instead of a table
  --markdown      print a table for a document
  --quick         a small fraction of the work: shows that all works, the figures mean nothing
  --only NAME     one of ${BENCH_NAMES.join(', ')}; may be repeated
  --over NAME     one of ${TRANSPORT_NAMES.join(', ')}; may be repeated
                  floor: what Node itself needs, whatever the transport; of http and wake-ups
  --rounds N      measurements of each kind, 1 to 99 (default 5; 1 with --quick)
  --driver NAME   driver of STP: auto, mapped, direct
  --busy N        beside so many processes that compute all the time, 0 to 99 (default 0)
  --out DIR       write results.json, results.md and results.svg there as well
  --help          this text`;

const QUICK_SCALE = 0.01;
/**
 * A service runs for longer than its compilers do: those of both processes work in the first seconds, on the cores that
 * the bytes want.
 */
const WARMUP_MS = 3000;
/** Rounds of what starts its programs afresh. */
const FRESH_ROUNDS_MAX = 3;

interface Plan {
  readonly json: boolean;
  readonly markdown: boolean;
  readonly scale: number;
  readonly rounds: number;
  readonly benches: readonly BenchName[];
  readonly transports: readonly TransportName[];
  readonly driver: string;
  readonly busy: number;
  readonly out: string | undefined;
}

/** The command line, checked; throws what to tell. */
function plan(args: string[]): Plan {
  const { values } = parseArgs({
    args,
    options: {
      json: { type: 'boolean', default: false },
      markdown: { type: 'boolean', default: false },
      quick: { type: 'boolean', default: false },
      only: { type: 'string', multiple: true, default: [] },
      over: { type: 'string', multiple: true, default: [] },
      rounds: { type: 'string' },
      driver: { type: 'string', default: 'auto' },
      busy: { type: 'string', default: '0' },
      out: { type: 'string' },
    },
  });
  const rounds = values.rounds ?? (values.quick ? '1' : '5');
  if (!/^[1-9]\d?$/.test(rounds)) throw new Error(`--rounds ${rounds}: must be 1 to 99`);
  if (!/^\d\d?$/.test(values.busy)) throw new Error(`--busy ${values.busy}: must be 0 to 99`);
  if (values.out === '') throw new Error('--out: must name a directory');
  if (!['auto', 'mapped', 'direct'].includes(values.driver))
    throw new Error(`--driver ${values.driver}: must be auto, mapped or direct`);
  return {
    json: values.json,
    markdown: values.markdown,
    scale: values.quick ? QUICK_SCALE : 1,
    rounds: Number(rounds),
    benches: chosen('--only', values.only, BENCH_NAMES),
    transports: chosen('--over', values.over, TRANSPORT_NAMES),
    driver: values.driver,
    busy: Number(values.busy),
    out: values.out,
  };
}

function chosen<T extends string>(option: string, wanted: readonly string[], known: readonly T[]): readonly T[] {
  const wrong = wanted.find((name) => !(known as readonly string[]).includes(name));
  if (wrong !== undefined) throw new Error(`${option} ${wrong}: must be one of ${known.join(', ')}`);
  return wanted.length === 0 ? known : known.filter((name) => wanted.includes(name));
}

/** All values of each metric: one for each round. */
type Samples = Map<Metric, Record<TransportName, number[]>>;

interface Measured {
  readonly samples: Samples;
  /** What the driver came to be. */
  readonly driver: string;
}

async function measureAll(plan: Plan, directory: string): Promise<Measured> {
  const samples: Samples = new Map();
  let driver = plan.driver;
  for (const bench of plan.benches)
    driver = (await measureOne(plan, bench, fs.mkdtempSync(path.join(directory, 'bench-')), samples)) ?? driver;
  return { samples, driver };
}

/**
 * All rounds of one bench, by programs of its own: what ran before them would change what the compilers make of their
 * code. Returns the driver that was used.
 */
async function measureOne(
  plan: Plan,
  bench: BenchName,
  directory: string,
  samples: Samples,
): Promise<string | undefined> {
  const transports: Transport[] = [];
  try {
    const starts = await Promise.allSettled(
      plan.transports.map((name) => Transport.start(bench, name, { directory, driver: plan.driver })),
    );
    for (const start of starts)
      if (start.status === 'fulfilled' && start.value !== undefined) transports.push(start.value);
    for (const start of starts) if (start.status === 'rejected') throw start.reason;
    if (transports.length === 0) return undefined;
    const fresh = FRESH.has(bench);
    if (!fresh) progress(plan, `${bench}: warming up`);
    if (!fresh) for (const transport of transports) await warmUp(transport, bench, plan.scale);
    const rounds = fresh ? Math.min(FRESH_ROUNDS_MAX, plan.rounds) : plan.rounds;
    for (let round = 1; round <= rounds; round++) {
      progress(plan, `${bench}: round ${round} of ${rounds}`);
      // Each round begins with another transport: none is always the first after a pause.
      for (let turn = 0; turn < transports.length; turn++) {
        const transport = transports[(turn + round) % transports.length];
        if (transport !== undefined) keep(samples, bench, transport.name, await transport.measure(bench, plan.scale));
      }
    }
    return transports.map((transport) => transport.mechanism()).find((found) => found !== undefined);
  } finally {
    await Promise.all(transports.map((transport) => transport.stop()));
  }
}

async function warmUp(transport: Transport, bench: BenchName, scale: number): Promise<void> {
  const until = performance.now() + WARMUP_MS * scale;
  do await transport.measure(bench, scale);
  while (performance.now() < until);
}

function keep(samples: Samples, bench: BenchName, transport: TransportName, values: BenchValues): void {
  for (const metric of METRICS.filter((candidate) => candidate.bench === bench)) {
    const value = values[metric.value];
    if (value === undefined || !Number.isFinite(value) || value <= 0)
      throw new Error(`${transport} ${bench}: ${metric.value} is ${String(value)}`);
    const row = samples.get(metric) ?? { tcp: [], unix: [], stp: [], floor: [] };
    row[transport].push(value);
    samples.set(metric, row);
  }
}

function results(samples: Samples): Result[] {
  return [...samples].map(([metric, row]) => {
    const medians = {
      tcp: median(row.tcp),
      unix: median(row.unix),
      stp: median(row.stp),
      floor: median(row.floor),
    };
    const ratio = (other: number | undefined): number | undefined => {
      if (medians.stp === undefined || other === undefined) return undefined;
      return metric.better === 'more' ? medians.stp / other : other / medians.stp;
    };
    return {
      name: metric.name,
      unit: metric.unit,
      ...medians,
      overTcp: ratio(medians.tcp),
      overUnix: ratio(medians.unix),
      samples: row,
    };
  });
}

function median(values: readonly number[]): number | undefined {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle];
  if (upper === undefined || sorted.length % 2 === 1) return upper;
  return (upper + (sorted[middle - 1] ?? upper)) / 2;
}

function progress(plan: Plan, text: string): void {
  if (!plan.json) process.stderr.write(`${text}\n`);
}

function machine(plan: Plan, directory: string): Record<string, string | number> {
  return {
    cpu: os.cpus()[0]?.model ?? 'unknown',
    cores: os.availableParallelism(),
    loadBefore: Number(os.loadavg()[0]?.toFixed(2)),
    system: `${os.type()} ${os.release()} ${os.arch()}`,
    node: process.version,
    directory: path.dirname(directory),
    rounds: plan.rounds,
    scale: plan.scale,
    busy: plan.busy,
  };
}

/** Computes until it is ended, or until the process that wanted it is. */
const COMPUTE = 'for (const parent = process.ppid; parent === process.ppid; ) for (let i = 0; i < 1e8; i++);';

function compute(): ChildProcess {
  const child = spawn(process.execPath, ['--eval', COMPUTE], { stdio: 'ignore' });
  return child.on('error', (error) => {
    process.stderr.write(`bench: one busy process less: ${error.message}\n`);
  });
}

type Facts = Readonly<Record<string, string | number>>;

function jsonOf(facts: Facts, found: readonly Result[]): string {
  return `${JSON.stringify({ machine: facts, results: found })}\n`;
}

function save(directory: string, facts: Facts, found: readonly Result[]): void {
  const { cpu = '', cores = '', node = '', busy = 0 } = facts;
  const note = `${cpu}, ${cores} cores, Node ${node}${busy === 0 ? '' : `, beside ${busy} busy processes`}`;
  fs.writeFileSync(path.join(directory, 'results.json'), jsonOf(facts, found));
  fs.writeFileSync(path.join(directory, 'results.md'), resultsMarkdown(facts, found));
  fs.writeFileSync(path.join(directory, 'results.svg'), plot(found, note));
}

async function main(): Promise<void> {
  if (process.argv.includes('--help')) {
    process.stdout.write(`${USAGE}\n`);
    return;
  }
  let chosenPlan: Plan;
  try {
    chosenPlan = plan(process.argv.slice(2));
    if (chosenPlan.out !== undefined) fs.mkdirSync(chosenPlan.out, { recursive: true });
  } catch (error) {
    process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n${USAGE}\n`);
    process.exitCode = 2;
    return;
  }
  const directory = fs.mkdtempSync(path.join(path.dirname(defaultRegionDirectory()), 'stp-bench-'));
  const facts = machine(chosenPlan, directory);
  const load = Array.from({ length: chosenPlan.busy }, compute);
  try {
    const { samples, driver } = await measureAll(chosenPlan, directory);
    const found = results(samples);
    const told = { ...facts, driver };
    if (chosenPlan.json) process.stdout.write(jsonOf(told, found));
    else process.stdout.write(chosenPlan.markdown ? resultsMarkdown(told, found) : resultsTable(told, found));
    if (chosenPlan.out !== undefined) save(chosenPlan.out, told, found);
  } finally {
    for (const child of load) child.kill('SIGKILL');
    fs.rmSync(directory, { recursive: true, force: true });
  }
}

if (require.main === module) {
  main().catch((error: unknown) => {
    process.stderr.write(`bench: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
    process.exitCode = 1;
  });
}
