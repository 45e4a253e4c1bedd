/** `stp doctor` measures a directory and says in plain words what is wrong with it. */
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { memoryDirectory } from '../memory-directory';
import { startStp, stp } from './stp-process';

void t.test('one side: file system, driver and figures, and nothing is left behind', (t) => {
  const directory = fs.mkdtempSync(path.join(memoryDirectory(), 'stp-doctor-'));
  t.teardown(() => { fs.rmSync(directory, { recursive: true, force: true }); });
  const told = stp(['doctor', directory]);
  t.match(told, { status: 0, stderr: '', stdout: /A region works here\./ });
  t.match(told.stdout, /^driver +(mapped|direct): \S+/mu);
  t.same(fs.readdirSync(directory), []);
  t.end();
});

void t.test('both sides: what one sees of the other', async (t) => {
  const directory = t.testdir({});
  const joining = once(startStp(['doctor', directory, '--join', '--timeout', '30']), 'close');
  const told = stp(['doctor', directory, '--peer', '--json', '--timeout', '30']);
  t.equal(told.status, 0, told.stderr);
  t.match(JSON.parse(told.stdout), { directory, sharesPageCache: true, both: { torn: [{ bytes: 512 }, { bytes: 4096 }, { bytes: 65_536 }] }, problems: [] });
  t.equal((await joining)[0], 0);
  t.same(fs.readdirSync(directory), []);
});

void t.test('what is wrong is told in plain words', (t) => {
  const directory = t.testdir({ file: 'x' });
  t.match(stp(['doctor', path.join(directory, 'nowhere')]), { status: 1, stderr: /no such directory on this host/ });
  t.match(stp(['doctor', path.join(directory, 'file')]), { status: 1, stderr: /^stp: .*file/ });
  t.match(stp(['doctor', directory, '--peer', '--timeout', '1']), { status: 1, stderr: /the other side was not seen/ });
  t.match(stp(['doctor', directory, '--peer', '--join']), { status: 2, stderr: /one or the other/ });
  t.match(stp(['doctor', directory, '--timeout', '0']), { status: 2, stderr: /--timeout 0/ });
  t.end();
});
