/** The code in the README runs as it stands. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { projectRoot } from '../../scripts/project-root';
import { textOf } from './sources';

const blocks = [...textOf('README.md').matchAll(/```js\n(.*?)```/gs)].map(([, code = '']) => code);

function block(marker: string): string {
  const found = blocks.filter((code) => code.includes(marker));
  if (found.length !== 1) throw new Error(`${found.length} blocks of the README hold ${marker}`);
  return found[0] ?? '';
}

/** Runs code as a file in the project, where `stp-net` is the package itself. */
function runs(
  test: Pick<typeof t, 'testdir'>,
  name: string,
  code: string,
): { readonly status: number | null; readonly stdout: string; readonly stderr: string } {
  const directory = test.testdir({ [name]: code });
  // A package is found by its own name from inside of its folder.
  if (!path.resolve(directory).startsWith(projectRoot()))
    throw new Error('the test folder lies outside of the project');
  const env = { ...process.env, STP_REGION: path.join(directory, 'region'), STP_NET: 'stp' };
  const ended = spawnSync(process.execPath, [path.join(directory, name)], { encoding: 'utf8', timeout: 30_000, env });
  fs.rmSync(path.join(directory, 'region'), { recursive: true, force: true });
  return ended;
}

void t.test('the import in place of node:net serves and connects', (t) => {
  // The server would go on listening.
  const code = `${block("import net from 'stp-net'")}\nprocess.stdout.on('unpipe', () => process.exit());`;
  t.match(runs(t, 'swap.mjs', code), { status: 0, stdout: 'hello', stderr: '' });
  t.end();
});

void t.test('the call library carries a message', (t) => {
  const code = `${block("require('stp-net/stp')")}\nPromise.all([server(), client()]).then(() => console.log('done'));`;
  t.match(runs(t, 'calls.cjs', code), { status: 0, stdout: 'done\n', stderr: '' });
  t.end();
});

void t.test('the hand-over of the README is the one that exists', (t) => {
  const code = block('stpGive()');
  t.match(code, /await socket\.stpGive\(\)/);
  t.match(code, /net\.stpTake\(token\)/);
  t.end();
});
