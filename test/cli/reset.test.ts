/** `stp reset` removes a region of the dead and refuses one of the living. */
import fs from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { stp } from './stp-process';
import { endTenant, startTenant } from './tenancy';

void t.test('a region with a live process stays, and who lives there is told', async (t) => {
  const region = path.join(t.testdir({}), 'region');
  const tenant = await startTenant(t, region);
  const refused = stp(['reset', '--region', region]);
  t.match(refused, { status: 1, stdout: '' });
  t.match(
    refused.stderr,
    new RegExp(`is in use; nothing was removed\n  pid ${tenant.pid ?? 0} of system alpha: node .*\nEnd them first`),
  );
  t.match(JSON.parse(stp(['reset', '--json', '--region', region]).stdout), { removed: false, code: 'EBUSY' });
  t.match(stp(['ss', '--region', region]).stdout, 'LISTEN', 'it is still whole');

  await endTenant(tenant, 'SIGKILL');
  t.match(stp(['reset'], { env: { STP_REGION: region } }), {
    status: 0,
    stderr: '',
    stdout: /^Removed the region in .*: \d+ files\.\n$/,
  });
  t.notOk(fs.existsSync(region));
});

void t.test('what no region made is left', async (t) => {
  const region = path.join(t.testdir({}), 'region');
  await endTenant(await startTenant(t, region), 'leave');
  fs.writeFileSync(path.join(region, 'notes.txt'), 'mine');
  t.match(stp(['reset', '--region', region]), { status: 0, stdout: /Left what no region made: notes\.txt\./ });
  t.same(fs.readdirSync(region), ['notes.txt']);
});

void t.test('what is no region is refused', (t) => {
  const directory = t.testdir({ empty: {}, full: { 'a.txt': 'a' }, file: 'x' });
  t.match(stp(['reset', '--region', path.join(directory, 'nowhere')]), { status: 1, stderr: /there is no region in/ });
  for (const name of ['empty', 'full', 'file'])
    t.match(stp(['reset', '--region', path.join(directory, name)]), { status: 1, stderr: /ESTPREGION/ }, name);
  t.ok(fs.existsSync(path.join(directory, 'full', 'a.txt')));
  t.match(stp(['reset', '--json', '--region', path.join(directory, 'full')]), { status: 1, stdout: /"removed":false/ });
  t.end();
});
