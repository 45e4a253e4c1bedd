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
  const found = JSON.parse(told.stdout) as { here: { mapping?: boolean }; both: { torn: { reads: number }[]; lock: { updates: number }; rename: { reads: number } } };
  const seen = found.here.mapping === true ? 'seen' : 'impossible';
  t.match(found, {
    directory,
    sharesPageCache: true,
    both: {
      torn: [{ bytes: 64 }, { bytes: 512 }, { bytes: 4096 }, { bytes: 65_536 }, { bytes: 1_048_576 }],
      mapping: { theirs: seen, ours: seen },
      lock: { lost: 0 },
      rename: { missing: 0, wrong: 0 },
      exclusive: { files: 60, doubles: 0 },
    },
    problems: [],
  });
  t.ok(found.both.torn.every(({ reads }) => reads > 0) && found.both.lock.updates > 1 && found.both.rename.reads > 0, 'all was measured');
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
