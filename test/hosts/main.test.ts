/** A stand that can't start here is neither passed nor failed, and says why. */
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import t from 'tap';
import { cleanEnvironment } from './host';

const PROGRAM = path.join(__dirname, 'main.js');

void t.test('a stand without its kernel is skipped with the reason, and nothing counts as passed', (test) => {
  // In a cache that is empty there is no kernel, whatever else is missing here.
  const env = { ...cleanEnvironment(), XDG_CACHE_HOME: test.testdir() };
  const { status, stdout } = spawnSync(process.execPath, [PROGRAM, '--stand', 'virtiofs'], { env, encoding: 'utf8' });
  test.match(stdout, /^SKIPPED virtiofs: \S.*\n0 passed, 0 failed, 1 skipped\n$/u);
  test.equal(status, 77);
  test.end();
});
