/**
 * A region for a group: its users talk to each other, each writes what is its own and nothing else, and nobody else
 * gets in.
 */
import fs from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { Actor, type ActorOptions, freshRegion } from './actor';
import { DIRECT, MAPPED } from './variants';

const GROUP = 61_100;
const [MAKER, OTHER, LATE, STRANGER] = [61_001, 61_002, 61_003, 61_004] as const;
const needsRoot = process.getuid?.() === 0 ? {} : { skip: 'needs root, to be several users' };

/** Path, kind and mode of everything in a region. */
function modesOf(region: string): Record<string, string[]> {
  const modes: Record<string, string[]> = { file: [], fifo: [], directory: [], group: [] };
  for (const name of ['.', ...fs.readdirSync(region, { recursive: true, encoding: 'utf8' })]) {
    const stat = fs.lstatSync(path.join(region, name), { throwIfNoEntry: false });
    if (stat === undefined) continue;
    const kind = stat.isFile() ? 'file' : stat.isFIFO() ? 'fifo' : 'directory';
    modes[kind]?.push((stat.mode & 0o7777).toString(8));
    modes['group']?.push(String(stat.gid));
  }
  return Object.fromEntries(Object.entries(modes).map(([kind, found]) => [kind, [...new Set(found)]]));
}

for (const { title, options, under, skip } of [MAPPED, DIRECT]) {
  void t.test(
    `users of a group talk over a region that one of them made for it, ${title}`,
    { ...skip, ...needsRoot },
    async (t) => {
      const region = freshRegion(t, under);
      fs.chmodSync(path.dirname(region), 0o755);
      fs.chownSync(path.dirname(region), MAKER, GROUP);
      const start = (name: string, more: Partial<ActorOptions>): Promise<Actor> =>
        Actor.start(t, { region, ...options, name, gid: GROUP, ...more });
      const [maker, other, late, stranger] = await Promise.all([
        start('maker', { uid: MAKER, env: { STP_REGION_MODE: '0770' } }),
        start('other', { uid: OTHER }),
        start('late', { uid: LATE }),
        start('stranger', { uid: STRANGER, gid: STRANGER }),
      ]);
      // The strictest umask there is does not keep the group out, nor the laxest let others in.
      await maker.run(() => process.umask(0o077));
      await other.run(() => process.umask(0));
      const port = await maker.run((kit) => {
        const { s, port: chosen } = kit.listen();
        kit.fds['listener'] = s;
        return chosen;
      });
      t.equal(
        await stranger.run((kit) => kit.code(() => kit.socket())),
        'EACCES',
        'who is not of the group is refused',
      );
      const accepted = maker.run(async (kit) => {
        const c = (kit.fds['c'] = await kit.stp.STPaccept(kit.fds['listener'] ?? -1));
        await kit.feed(c, 2, 0, 300_000);
        return kit.drain(c, 1, 0, 300_000);
      });
      const got = await other.run(async (kit, to) => {
        const s = (kit.fds['s'] = await kit.connect(to));
        const [, drained] = await Promise.all([kit.feed(s, 1, 0, 300_000), kit.drain(s, 2, 0, 300_000)]);
        return drained;
      }, port);
      t.same(
        [got, await accepted],
        [
          { to: 300_000, why: 'enough' },
          { to: 300_000, why: 'enough' },
        ],
      );
      t.same(modesOf(region), { file: ['640'], fifo: ['660'], directory: ['2770'], group: [String(GROUP)] });
      const links = fs
        .readdirSync(path.join(region, 'links'))
        .map((name) => path.join(region, 'links', name))
        .filter((name) => fs.statSync(name).uid === MAKER);
      t.equal(links.length, 1);
      t.equal(
        await other.run((_, file) => {
          const { openSync } = process.getBuiltinModule('node:fs');
          try {
            return String(openSync(file, 'r+'));
          } catch (error) {
            return (error as { code: string }).code;
          }
        }, links[0] ?? ''),
        'EACCES',
        "nobody writes, or cuts short, what is another user's",
      );

      const lost = other.run((kit) => kit.drain(kit.fds['s'] ?? -1, 2, 300_000));
      await maker.kill();
      t.equal((await lost).why, 'ECONNRESET', 'deaths are seen');
      t.equal(
        await late.run((kit) => kit.code(() => kit.pair())),
        '',
        'and what the dead left is cleared up by another user',
      );
      t.notOk(links.some((file) => fs.existsSync(file)));
    },
  );
}

void t.test(
  'STP_REGION_MODE makes a directory for a group, and is an error where the region is for others',
  { skip: process.getuid === undefined ? 'no users here' : false },
  async (t) => {
    const region = freshRegion(t);
    const attempt = async (mode: string | undefined): Promise<string> => {
      const actor = await Actor.start(t, { region, env: mode === undefined ? {} : { STP_REGION_MODE: mode } });
      const code = await actor.run((kit) => kit.code(() => kit.socket()));
      await actor.kill();
      return code;
    };
    fs.mkdirSync(region, 0o755);
    t.equal(await attempt('0770'), '', 'an empty directory of ours is made ready');
    t.equal(fs.statSync(region).mode & 0o7777, 0o2770);
    t.equal(await attempt('0700'), 'ESTPREGION', 'who wants it for himself is told');
    t.equal(await attempt(undefined), '', 'who does not care uses it as it is');
    t.equal(await attempt('0777'), 'ESTPCONFIG');
    fs.rmSync(region, { recursive: true });
    t.equal(await attempt(undefined), '');
    t.equal(fs.statSync(region).mode & 0o7777, 0o700);
    t.equal(await attempt('0770'), 'ESTPREGION', 'and one for a single user stays that');
    t.equal(await attempt('0700'), '');
  },
);
