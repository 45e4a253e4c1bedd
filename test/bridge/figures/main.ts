/**
 * `npm run bench:bridge`: two bridges and a region against TCP itself, `ssh -L` and one `socat`, at the same server on
 * loopback. Measurements take turns; what is told is the median of the rounds, and the ratio to TCP.
 */
import os from 'node:os';
import path from 'node:path';
import { commandLine } from '../../../scripts/command-line';
import { median } from '../../soak/flat';
import { BridgeProcess, HOST } from '../kit';
import { CASES, missing, sshd } from '../programs/cases';
import { Stage } from '../programs/stage';
import { sizeOfProcess } from '../soak/cast';
import { connections, idle, latency, throughput } from './measures';

const USAGE = `usage: npm run bench:bridge -- [options]
  --rounds N      of each measurement (default 3)
  --idle N        connections at once that say nothing (default 5000; 0: none)
  --markdown      print a table for a document`;
const OPTIONS = { rounds: { type: 'string' }, idle: { type: 'string' }, markdown: { type: 'boolean' } } as const;

const FOR_MS = 2500;
const REQUESTS = 2000;
const STP_PORT = 7000;
const MIB = 1 << 20;
const METRICS = ['MB/s', 'p50, µs', 'p99, µs', 'connections/s'] as const;
type Row = Record<(typeof METRICS)[number], number>;

interface Bridges {
  readonly port: number;
  readonly pids: readonly number[];
}

function numberOf(name: string, text: string | undefined, otherwise: number, least: number): number {
  const value = text === undefined ? otherwise : Number(text);
  if (!Number.isSafeInteger(value) || value < least)
    throw new Error(`--${name} ${text ?? ''}: a whole number is wanted`);
  return value;
}

async function bridges(stage: Stage, serverPort: number): Promise<Bridges> {
  const args = ['-R', `${STP_PORT}:${HOST}:${serverPort}`];
  const far = new BridgeProcess(stage, stage.region, args, { STP_SYSTEM: 'far' });
  await far.ports(1);
  const near = new BridgeProcess(stage, stage.region, ['-L', `0:far:${STP_PORT}`], { STP_SYSTEM: 'near' });
  const [port = 0] = await near.ports(1);
  return { port, pids: [near.child.pid ?? 0, far.child.pid ?? 0] };
}

/** Each way to the server that this machine has. */
async function ways(stage: Stage, serverPort: number, bridge: Bridges): Promise<Map<string, number>> {
  const found = new Map([
    ['TCP', serverPort],
    ['stp bridge, two', bridge.port],
  ]);
  const hasSsh = CASES.some((one) => one.name === 'ssh' && missing(one).length === 0);
  if (hasSsh) {
    const port = await stage.freePort();
    const { port: sshPort, options } = await sshd(stage);
    const to = [
      '-N',
      '-L',
      `${HOST}:${port}:${HOST}:${serverPort}`,
      '-p',
      String(sshPort),
      '-l',
      os.userInfo().username,
    ];
    await stage.serve(port, ['ssh', ...options, ...to, HOST]);
    found.set('ssh -L', port);
  }
  const port = await stage.freePort();
  try {
    const listen = `TCP-LISTEN:${port},bind=${HOST},reuseaddr,fork,nodelay,backlog=511`;
    await stage.serve(port, ['socat', '-b', '65536', listen, `TCP:${HOST}:${serverPort},nodelay`]);
    found.set('socat, one', port);
  } catch {
    console.log('socat is not installed: left out');
  }
  return found;
}

async function measure(port: number): Promise<Row> {
  const { p50, p99 } = await latency(port, REQUESTS);
  return {
    'MB/s': await throughput(port, FOR_MS),
    'p50, µs': p50,
    'p99, µs': p99,
    'connections/s': await connections(port, FOR_MS),
  };
}

async function measureIdle(bridge: Bridges, count: number): Promise<string> {
  const sizes = (): number[] => bridge.pids.map((pid) => sizeOfProcess(pid).residentBytes);
  const before = sizes();
  const echo = await idle(bridge.port, count);
  const after = sizes();
  const echoed = await echo();
  const grown = after.map((bytes, at) => bytes - (before[at] ?? 0));
  const each = grown.map((bytes) => `${(bytes / count / 1024).toFixed(1)} KiB`).join(' and ');
  const all = after.map((bytes) => `${Math.round(bytes / MIB)} MiB`).join(' and ');
  return (
    `${count} idle connections: near and far bridge ${all}, ${each} a connection; ` + `${echoed} of ${count} still echo`
  );
}

function print(rows: ReadonlyMap<string, readonly Row[]>, markdown: boolean): void {
  const tcp = rows.get('TCP') ?? [];
  if (markdown) console.log(`| way | ${METRICS.join(' | ')} |\n| --- | ${METRICS.map(() => '---').join(' | ')} |`);
  for (const [way, measured] of rows) {
    const cells = METRICS.map((metric) => {
      const value = median(measured.map((row) => row[metric]));
      const ratio = value / median(tcp.map((row) => row[metric]));
      return `${value.toFixed(0)} (${ratio.toFixed(2)})`;
    });
    console.log(markdown ? `| ${way} | ${cells.join(' | ')} |` : `${way.padEnd(18)}${cells.join('   ')}`);
  }
}

async function main(): Promise<void> {
  const plan = commandLine(USAGE, OPTIONS, (values) => ({
    rounds: numberOf('rounds', values.rounds, 3, 1),
    idle: numberOf('idle', values.idle, 5000, 0),
    markdown: values.markdown === true,
  }));
  console.log(
    `load ${os.loadavg()[0]?.toFixed(2) ?? ''}, ${os.availableParallelism()} processors, Node ${process.version}`,
  );
  const stage = new Stage();
  try {
    const serverPort = await stage.freePort();
    await stage.serve(serverPort, [process.execPath, path.join(__dirname, 'server.js'), String(serverPort)]);
    const bridge = await bridges(stage, serverPort);
    const all = await ways(stage, serverPort, bridge);
    const rows = new Map<string, Row[]>();
    // The first round warms up, and is not kept.
    for (let round = 0; round <= plan.rounds; round++)
      for (const [way, port] of all) {
        const row = await measure(port);
        if (round > 0) rows.set(way, [...(rows.get(way) ?? []), row]);
      }
    print(rows, plan.markdown);
    if (plan.idle > 0) console.log(await measureIdle(bridge, plan.idle));
  } finally {
    await stage.close();
  }
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});
