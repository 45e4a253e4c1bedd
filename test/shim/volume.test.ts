/** Ordinary programs that move much: one long stream, a thousand sockets at once, a reader that stands still. */
import { fork, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import t from 'tap';
import { loadNative, whyNoNative } from '../../src/storage';
import { type Answer } from './volume-main';

const MAIN = path.join(__dirname, 'volume-main.js');
const HOOK = path.join(__dirname, '../../lib/register.js');
/** Window, log and what the streams buffer on both sides: far less than what is sent. */
const STALLED_BYTES_MAX = 2 << 20;
/** Garbage that waits to be collected counts as growth; what would grow without backpressure is 1 to 2 GiB. */
const GROWN_MIB_MAX = 400;
const WATCHDOG_MS = 100_000;

function start(region: string, driver: string, args: string[]): ChildProcess {
  const env = { ...process.env, STP_REGION: region, STP_NET: 'stp', STP_DRIVER: driver };
  return fork(MAIN, args, { execArgv: ['--require', HOOK], env, stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
}

function message<T>(child: ChildProcess): Promise<T> {
  return new Promise((resolve, reject) => {
    child.once('message', (value) => {
      resolve(value as T);
    });
    child.once('exit', (code, signal) => {
      reject(new Error(`child ended: ${String(code)} ${String(signal)}`));
    });
  });
}

const drivers = loadNative() === undefined ? ['direct'] : ['mapped', 'direct'];
if (drivers.length === 1) t.comment(`only the driver direct: ${whyNoNative()}`);

for (const driver of drivers) {
  void t.test(`over ${driver}`, { timeout: WATCHDOG_MS }, async (t) => {
    // All of it: 1 GiB through one socket, and a MiB through each of a thousand.
    const share = process.env['STP_TEST_VOLUME'] === 'full' ? 1 : 4;
    const region = mkdtempSync(path.join(os.tmpdir(), 'stp-volume-'));
    const server = start(region, driver, ['server']);
    t.teardown(() => {
      server.kill('SIGKILL');
      rmSync(region, { recursive: true, force: true });
    });
    const { port } = await message<{ port: number }>(server);
    const work = async (what: string): Promise<Answer & { serverGrownMib: number }> => {
      const client = start(region, driver, ['client', String(port), what, String(share)]);
      t.teardown(() => client.kill('SIGKILL'));
      const answer = await message<Answer>(client);
      client.disconnect();
      const grown = message<{ grownMib: number }>(server);
      server.send('memory');
      return { ...answer, serverGrownMib: (await grown).grownMib };
    };
    const flat = (
      t: { ok(value: unknown, title: string): unknown },
      answer: Answer & { serverGrownMib: number },
    ): void => {
      t.ok(answer.grownMib < GROWN_MIB_MAX, `the client grew by ${answer.grownMib} MiB`);
      t.ok(answer.serverGrownMib < GROWN_MIB_MAX, `the server grew by ${answer.serverGrownMib} MiB`);
    };

    await t.test(`${1024 / share} MiB through one socket arrive whole and memory stays flat`, async (t) => {
      const answer = await work('gib');
      t.ok(answer.ok, answer.detail);
      flat(t, answer);
    });

    await t.test(`a thousand sockets at once carry ${1024 / share} KiB each in both directions`, async (t) => {
      const answer = await work('many');
      t.ok(answer.ok, answer.detail);
      flat(t, answer);
    });

    await t.test('a reader that stops for five seconds stops its writer, and then gets everything', async (t) => {
      const answer = await work('stall');
      t.ok(answer.ok, answer.detail);
      const stalled = answer.stalledBytes ?? Infinity;
      t.ok(stalled > 0 && stalled < STALLED_BYTES_MAX, `the writer got rid of ${stalled} bytes meanwhile`);
      flat(t, answer);
    });
  });
}
