/**
 * Ordinary programs of six kinds in two processes, in network namespaces where kernel TCP can't connect: with both
 * drivers, loaded in every way there is, from both kinds of modules. What passes went over STP.
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import t from 'tap';
import { loadNative, whyNoNative } from '../../src/storage';

const ROOT = path.join(__dirname, '../../..');
const PROGRAMS = path.join(ROOT, 'test/e2e/programs');
const HOOK = path.join(ROOT, 'dist/lib/register.js');
const WATCHDOG_MS = 60_000;

const RIGHT = {
  echo: 'echo 300000',
  http: 'POST /p 300000',
  https: 'POST /p 300000',
  fetch: 'GET /f 0 POST /f 300000',
  h2c: 'h2 /s',
  h2: 'h2 /s',
  ws: 'ws hello',
};

interface Loading {
  readonly name: string;
  readonly prefix: string;
  readonly args: readonly string[];
  readonly options: string;
}

const LOADINGS: readonly Loading[] = [
  { name: '--require', prefix: '', args: ['--require', HOOK], options: '' },
  { name: '--import', prefix: '', args: ['--import', HOOK], options: '' },
  { name: 'NODE_OPTIONS', prefix: '', args: [], options: `--require ${HOOK}` },
  { name: 'the import swap', prefix: 'swap-', args: [], options: '' },
];

/** A new namespace has its loopback down: no route, so no kernel TCP connect gets anywhere. */
const NAMESPACES = [
  ['unshare', '--net'],
  ['unshare', '--user', '--map-root-user', '--net'],
];
const namespace = NAMESPACES.find(([command = '', ...args]) => spawnSync(command, [...args, 'true']).status === 0);
if (namespace === undefined) t.comment('no network namespaces here: STP_NET=stp alone keeps the programs from TCP');

function start(env: Record<string, string>, args: readonly string[]): ChildProcess {
  const [command = '', ...rest] = [...(namespace ?? []), process.execPath, ...args];
  return spawn(command, rest, {
    env: { ...process.env, NODE_OPTIONS: '', ...env },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
}

/** The first line that a program prints, as JSON. */
async function firstLine(child: ChildProcess): Promise<Record<string, unknown>> {
  if (child.stdout === null) throw new Error('no output');
  const lines = createInterface(child.stdout);
  const line = await Promise.race([
    once(lines, 'line').then(([text]) => text as string),
    once(child, 'exit').then(([code, signal]) => {
      throw new Error(`ended: ${String(code)} ${String(signal)}`);
    }),
  ]);
  return JSON.parse(line) as Record<string, unknown>;
}

async function run(
  env: Record<string, string>,
  loading: Loading,
  kind: string,
  hooked = true,
): Promise<Record<string, unknown>> {
  const all = { STP_NET: 'stp', NODE_EXTRA_CA_CERTS: path.join(PROGRAMS, 'cert.pem'), ...env };
  const serverEnv = loading.options === '' ? all : { ...all, NODE_OPTIONS: loading.options };
  const server = start(serverEnv, [...loading.args, path.join(PROGRAMS, `${loading.prefix}server.${kind}`)]);
  try {
    const ports = JSON.stringify(await firstLine(server));
    const client = hooked
      ? start(serverEnv, [...loading.args, path.join(PROGRAMS, `${loading.prefix}client.${kind}`), ports])
      : start(all, [path.join(PROGRAMS, `client.${kind}`), ports]);
    try {
      const results = await firstLine(client);
      if (client.exitCode === null) await once(client, 'exit');
      return results;
    } finally {
      client.kill('SIGKILL');
    }
  } finally {
    server.kill('SIGKILL');
  }
}

const drivers = loadNative() === undefined ? ['direct'] : ['mapped', 'direct'];
if (drivers.length === 1) t.comment(`only the driver direct: ${whyNoNative()}`);

for (const driver of drivers) {
  void t.test(`over ${driver}`, { timeout: 10 * WATCHDOG_MS }, async (t) => {
    const region = mkdtempSync(path.join(os.tmpdir(), 'stp-matrix-'));
    t.teardown(() => {
      rmSync(region, { recursive: true, force: true });
    });
    const env = { STP_REGION: region, STP_DRIVER: driver };
    for (const loading of LOADINGS) {
      for (const kind of ['cjs', 'mjs']) {
        await t.test(
          `net, http, https, http2, fetch and ws work with ${loading.name} from .${kind}`,
          { timeout: WATCHDOG_MS },
          async (t) => {
            t.strictSame(await run(env, loading, kind), RIGHT);
          },
        );
      }
    }
  });
}

void t.test('a client without the hook reaches nobody there', { timeout: WATCHDOG_MS }, async (t) => {
  const region = mkdtempSync(path.join(os.tmpdir(), 'stp-matrix-'));
  t.teardown(() => {
    rmSync(region, { recursive: true, force: true });
  });
  const [require] = LOADINGS;
  if (require === undefined) return;
  const results = await run({ STP_REGION: region }, require, 'cjs', false);
  for (const [name, result] of Object.entries(results))
    t.match(
      result,
      /^failed: (?:ENETUNREACH|ECONNREFUSED|EADDRNOTAVAIL|UND_ERR|TypeError)/u,
      `${name}: ${String(result)}`,
    );
});
