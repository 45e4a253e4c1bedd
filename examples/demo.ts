/**
 * `npm run demo`: programs written for TCP talk without it, and a live connection moves between two processes.
 *
 * Everything runs with STP_NET=stp over a region of its own, where it can in a network namespace of its own whose
 * kernel counts TCP sockets. Ends by itself within a minute; exits with 1 when anything is not as it should be.
 */
import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { promisify } from 'node:util';
import { projectRoot } from '../scripts/project-root';
import { registerPath } from '../src/cli/run';
import { defaultRegionDirectory } from '../src/region/options';
import { DemoChildren } from './demo-children';
import { type MeterKind, namespaceCommand, raiseLoopback, TcpMeter } from './tcp-meter';

const LIMIT_MS = 60_000;
const INSIDE = '--inside';
const MEBIBYTE = 1024 * 1024;
const TRANSFER_BYTES = 64 * MEBIBYTE;
const HAND_OVER_AT_BYTES = 24 * MEBIBYTE;
/** Ends of connections that have carried bytes before `stp ss` is worth showing. */
const BUSY_ENOUGH = 16;
const PORT = 3000;
const ECHO_PORT = 3001;

const say = (text: string): void => {
  process.stdout.write(`${text}\n`);
};
const title = (text: string): void => {
  say(`\n== ${text}`);
};
const program = (...names: string[]): string => path.join(projectRoot(), 'examples', ...names);

/** Runs the whole demo again inside a network namespace, where there can be one; returns its exit code. */
function enterNamespace(): number | undefined {
  const command = namespaceCommand();
  if (command === undefined) return undefined;
  const inside = spawnSync(
    command[0] ?? '',
    [...command.slice(1), '--', process.execPath, ...process.execArgv, __filename, INSIDE],
    { stdio: 'inherit' },
  );
  return inside.status ?? 1;
}

interface Stage {
  readonly children: DemoChildren;
  readonly region: string;
  readonly meter: TcpMeter;
}

async function demo(kind: MeterKind): Promise<void> {
  const directory = fs.mkdtempSync(path.join(path.dirname(defaultRegionDirectory()), 'stp-demo-'));
  const region = path.join(directory, 'region');
  const children = new DemoChildren({ ...process.env, NODE_OPTIONS: '', STP_REGION: region, STP_NET: 'stp' });
  const meter = new TcpMeter(kind, () => children.pids());
  const watchdog = setTimeout(() => {
    say(`demo: not done after ${LIMIT_MS / 1000} s; giving up`);
    children.killAll();
    fs.rmSync(directory, { recursive: true, force: true });
    process.exit(1);
  }, LIMIT_MS - 2000);
  try {
    const stage = { children, region, meter };
    await webApplication(stage);
    await handOver(stage);
    await tellCount(stage);
    title('Tidy up: stp reset');
    say(indented(await stp(region, 'reset')));
    assert.ok(!fs.existsSync(path.join(region, 'region')), 'the region is gone');
  } finally {
    clearTimeout(watchdog);
    meter.stop();
    children.killAll();
    fs.rmSync(directory, { recursive: true, force: true });
  }
}

/** An express application and its client, both as written for TCP. */
async function webApplication(stage: Stage): Promise<void> {
  title('An express application and its client: written for TCP, run over the region');
  say(`  STP_NET=stp node --require stp-net/register examples/app/server.js ${PORT}`);
  say(`  STP_NET=stp node --require stp-net/register examples/app/client.js ${PORT}`);
  const hook = ['--require', registerPath()];
  const server = stage.children.start('server', [...hook, program('app', 'server.js'), String(PORT)]);
  await server.line(/^listening/);
  const client = stage.children.start('client', [...hook, program('app', 'client.js'), String(PORT)]);
  const over = client.success();
  const seen = await watch(stage.region, over);
  const { lines } = await over;
  title('What `stp ss` showed while they talked');
  say(indented(excerpt(seen, 4)));
  assert.match(seen, new RegExp(`:${PORT}\\b`), 'stp ss shows the port');
  checkReport(lines.at(-1) ?? '');
  await server.stop();
}

/** The client has checked every answer; here that it has done all it was to do. */
function checkReport(line: string): void {
  const report = JSON.parse(line) as Record<string, { requests?: number; bytes?: number; messages?: number }>;
  assert.equal(report['requests']?.requests, 3000);
  assert.equal(report['upload']?.bytes, TRANSFER_BYTES);
  assert.equal(report['download']?.bytes, TRANSFER_BYTES);
  assert.equal(report['websocket']?.messages, 1000);
}

/** One connection, two servers: the first gives it to the second in mid-transfer, and the client does not notice. */
async function handOver(stage: Stage): Promise<void> {
  title('A live connection moves from one server process to another in mid-transfer');
  const first = stage.children.fork('first', program('hand-over', 'server.js'));
  const second = stage.children.fork('second', program('hand-over', 'server.js'));
  await first.request({ giveAfter: HAND_OVER_AT_BYTES, listen: ECHO_PORT }, 'listening');
  const given = first.message<{ token: string; echoed: number }>('token');
  const client = stage.children.start('client', [
    '--require',
    registerPath(),
    program('app', 'echo-client.js'),
    String(ECHO_PORT),
    String(TRANSFER_BYTES),
  ]);
  const { token, echoed } = await given;
  const [{ done: echoedBySecond }, { lines }] = await Promise.all([
    second.request<{ done: number }>({ take: token }, 'done'),
    client.success(),
  ]);
  const result = JSON.parse(lines.at(-1) ?? '') as { bytes: number; sha256: string; longestPauseMs: number };
  say(`  first server, pid ${first.pid}: echoed ${mebibytes(echoed)}, then gave the connection away`);
  say(`  second server, pid ${second.pid}: took it and echoed ${mebibytes(echoedBySecond)}`);
  say(
    `  client: one connection, ${mebibytes(result.bytes)} sent and the same bytes back, ` +
      `sha256 ${result.sha256.slice(0, 16)}...; longest pause ${result.longestPauseMs} ms`,
  );
  assert.ok(echoed >= HAND_OVER_AT_BYTES && echoed < TRANSFER_BYTES, 'the first server gave it in mid-transfer');
  assert.equal(echoed + echoedBySecond, TRANSFER_BYTES, 'each byte was echoed by exactly one of them');
  await first.stop();
  await second.stop();
}

async function tellCount({ meter }: Stage): Promise<void> {
  title('TCP sockets');
  const { connections, socketsMax } = meter.count();
  if (meter.kind === 'none') {
    say('  not counted: this system has no /proc to ask');
    return;
  }
  const how =
    meter.kind === 'namespace'
      ? "the kernel's own counters of this network namespace"
      : "the kernel's tables, looked up every 50 ms for each process";
  say(`  opened: ${connections} connections, ${socketsMax} sockets at most at once (${how})`);
  assert.equal(connections, 0, 'TCP connections');
  assert.equal(socketsMax, 0, 'TCP sockets, listeners included');
  if (meter.kind === 'namespace' && (await tcpWorksHere())) {
    const after = meter.count();
    assert.ok(after.connections > 0 && after.socketsMax > 0, 'the counters count');
    say(
      '  the counters do count: one TCP connection made now, on purpose, ' +
        `raised them to ${after.connections} opens and ${after.socketsMax} sockets`,
    );
  }
}

/** Makes one TCP connection from this process, which has no hook: the proof that it could have been done. */
function tcpWorksHere(): Promise<boolean> {
  return new Promise((resolve) => {
    const server = net.createServer((socket) => socket.end());
    server.listen(0, '127.0.0.1', () => {
      const socket = net.connect((server.address() as net.AddressInfo).port, '127.0.0.1');
      const finish = (works: boolean) => () => {
        server.close();
        resolve(works);
      };
      socket.on('error', finish(false));
      socket.on('end', finish(true)).resume();
    });
  });
}

/** Runs `stp` as a person would, and returns what it prints. */
async function stp(region: string, ...args: string[]): Promise<string> {
  const command = path.join(path.dirname(registerPath()), 'cli.js');
  const { stdout } = await promisify(execFile)(process.execPath, [command, ...args, '--region', region]);
  return stdout;
}

/** What `stp ss` shows while bytes go over many connections, or at the time when most were seen. */
async function watch(region: string, over: Promise<unknown>): Promise<string> {
  const client = { running: true };
  const end = (): void => {
    client.running = false;
  };
  over.then(end, end);
  let best = { text: '', busy: -1 };
  while (client.running && best.busy < BUSY_ENOUGH) {
    const text = await stp(region, 'ss');
    const busy = text.match(/^ESTAB .* [1-9]\d* +[1-9]\d* +pid/gm)?.length ?? 0;
    if (busy > best.busy) best = { text, busy };
  }
  return best.text;
}

function mebibytes(bytes: number): string {
  return `${(bytes / MEBIBYTE).toFixed(1)} MiB`;
}

function indented(text: string): string {
  return text.trimEnd().replace(/^/gm, '  ');
}

/** The head of a table and its first lines of each owner. */
function excerpt(text: string, linesEach: number): string {
  const [head = '', ...lines] = text.trimEnd().split('\n');
  const shown = new Map<string, string[]>();
  for (const line of lines) {
    const owner = /pid \d+/.exec(line)?.[0] ?? '';
    const kept = shown.get(owner) ?? [];
    if (kept.length < linesEach) shown.set(owner, [...kept, line]);
  }
  const kept = [...shown.values()].flat();
  return [head, ...kept, `... ${lines.length} sockets in all`].join('\n');
}

async function main(): Promise<void> {
  const began = performance.now();
  if (!process.argv.includes(INSIDE)) {
    const code = enterNamespace();
    if (code !== undefined) {
      process.exitCode = code;
      return;
    }
    await demo(fs.existsSync('/proc/self/fd') ? 'processes' : 'none');
  } else {
    const loopback = raiseLoopback();
    say(
      `In a network namespace of its own, ${loopback ? 'with loopback: TCP would work here' : 'without any network'}.`,
    );
    await demo('namespace');
  }
  say(`\nAll as it should be, in ${((performance.now() - began) / 1000).toFixed(1)} s.`);
}

main().catch((error: unknown) => {
  say(`\ndemo FAILED: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  process.exitCode = 1;
});
