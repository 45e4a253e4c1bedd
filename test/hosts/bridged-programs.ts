/**
 * A program for one host of two: programs that are not Node behind a bridge, or in front of one.
 *
 * `serve BYTES`: a web server of busybox with a page of so many bytes, and redis where it is installed, become ports 80
 * and 6379 of this system. `call SYSTEM REQUESTS`: fetches the page, and small ones, and runs redis-benchmark. Both
 * print lines; what they started ends with them.
 */
import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { projectRoot } from '../../scripts/project-root';

const run = promisify(execFile);
const STP = path.join(projectRoot(), 'dist', 'lib', 'cli.js');
const LOOPBACK = '127.0.0.1';
const WEB_PORT = 80;
const REDIS_PORT = 6379;
const OUTPUT_MAX_BYTES = 1 << 30;
const REDIS_SERVER = '/usr/bin/redis-server';
const REDIS_BENCHMARK = '/usr/bin/redis-benchmark';

const children: ChildProcess[] = [];
const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'stp-bridged-'));

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

function start(command: string, args: readonly string[]): ChildProcess {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  return child;
}

function endAll(): void {
  for (const child of children) child.kill('SIGKILL');
  fs.rmSync(directory, { recursive: true, force: true });
}

async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, LOOPBACK);
  await once(server, 'listening');
  const { port } = server.address() as net.AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

async function listens(port: number): Promise<void> {
  for (;;) {
    const socket = net.connect(port, LOOPBACK);
    const open = await new Promise<boolean>((resolve) => {
      socket.once('connect', () => {
        resolve(true);
      });
      socket.once('error', () => {
        resolve(false);
      });
    });
    socket.destroy();
    if (open) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Starts a bridge; resolves with the TCP ports at which it listens, in the order of its forwards. */
async function bridge(forwards: readonly string[]): Promise<number[]> {
  const child = start(process.execPath, [STP, 'bridge', '--json', ...forwards]);
  const count = forwards.length / 2;
  const ports: number[] = [];
  if (child.stdout === null) throw new Error('no pipe');
  for await (const line of createInterface(child.stdout)) {
    const { event, forward } = JSON.parse(line) as { event: string; forward?: { listen?: { port: number } } };
    if (event === 'listening') ports.push(forward?.listen?.port ?? 0);
    if (ports.length === count) return ports;
  }
  throw new Error('the bridge has ended');
}

async function serve(bytes: number): Promise<void> {
  const port = await freePort();
  const page = Buffer.alloc(bytes, 'a page of many bytes; ');
  fs.writeFileSync(path.join(directory, 'page'), page);
  fs.writeFileSync(path.join(directory, 'small'), 'small');
  start('busybox', ['httpd', '-f', '-p', `${LOOPBACK}:${port}`, '-h', directory]);
  const forwards = ['-R', `${WEB_PORT}:${LOOPBACK}:${port}`];
  await listens(port);
  if (fs.existsSync(REDIS_SERVER)) {
    const redis = await freePort();
    start(REDIS_SERVER, ['--port', String(redis), '--bind', LOOPBACK, '--save', '', '--dir', directory]);
    await listens(redis);
    forwards.push('-R', `${REDIS_PORT}:${LOOPBACK}:${redis}`);
  }
  await bridge(forwards);
  say(`serving ${createHash('sha256').update(page).digest('hex')}`);
}

async function fetch(url: string): Promise<Buffer> {
  const { stdout } = await run('busybox', ['wget', '-q', '-O', '-', url], {
    encoding: 'buffer',
    maxBuffer: OUTPUT_MAX_BYTES,
  });
  return stdout;
}

async function call(system: string, requests: number): Promise<void> {
  const hasRedis = fs.existsSync(REDIS_BENCHMARK);
  const [web = 0, redis = 0] = await bridge([
    ...['-L', `0:${system}:${WEB_PORT}`],
    ...(hasRedis ? ['-L', `0:${system}:${REDIS_PORT}`] : []),
  ]);
  const url = `http://${LOOPBACK}:${web}`;
  const beganPage = performance.now();
  const page = await fetch(`${url}/page`);
  const pageSeconds = (performance.now() - beganPage) / 1000;
  const began = performance.now();
  for (let i = 0; i < requests; i++)
    if ((await fetch(`${url}/small`)).toString() !== 'small') throw new Error('a wrong page');
  const each = (performance.now() - began) / requests;
  say(`page ${createHash('sha256').update(page).digest('hex')}`);
  say(
    `busybox wget from busybox httpd: ${page.length} bytes at ${(page.length / 1e6 / pageSeconds).toFixed(1)} MB/s, ` +
      `${requests} requests of ${each.toFixed(0)} ms each, with the start of wget`,
  );
  if (!hasRedis) return;
  const told = execFileSync(
    REDIS_BENCHMARK,
    ['-h', LOOPBACK, '-p', String(redis), '-t', 'set,get', '-n', String(requests * 20), '-c', '10', '--csv'],
    { encoding: 'utf8' },
  );
  for (const line of told.split('\n').slice(1)) {
    const [test = '', perSecond = '', , , p50 = '', , p99 = ''] = line.replaceAll('"', '').split(',');
    if (test !== '') say(`redis-benchmark ${test}: ${perSecond} a second, p50 ${p50} ms, p99 ${p99} ms`);
  }
}

async function main(): Promise<void> {
  process.once('SIGTERM', () => process.exit(0));
  process.once('exit', endAll);
  const [role, first = '', second = ''] = process.argv.slice(2);
  if (role === 'serve') {
    await serve(Number(first));
    return;
  }
  await call(first, Number(second));
  process.exit(0);
}

void main();
