/** A cluster shares one TCP socket among its workers: in `auto` the hook must leave that alone. */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';

const ROOT = path.join(__dirname, '../../..');

void t.test('a cluster works under the hook in auto as it does without', { timeout: 30_000 }, async (t) => {
  const region = mkdtempSync(path.join(os.tmpdir(), 'stp-cluster-'));
  t.teardown(() => {
    rmSync(region, { recursive: true, force: true });
  });
  const args = ['--require', path.join(ROOT, 'dist/shim/register.js'), path.join(ROOT, 'test/e2e/programs/cluster.cjs')];
  const env = { ...process.env, NODE_OPTIONS: '', STP_REGION: region, STP_NET: 'auto' };
  const { stdout } = await promisify(execFile)(process.execPath, args, { env, timeout: 20_000 });
  t.strictSame(JSON.parse(stdout), { answered: 10 });
});
