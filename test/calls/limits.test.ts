/** A region that allows few sockets: each call beyond the limit fails, with its own error, and none waits for ever. */
import t from 'tap';
import { Region } from '../../src/region';
import { Actor, freshRegion } from './actor';

const SOCKETS_MAX = 6;

void t.test(
  'A full server refuses the request, a full client makes no socket, and both go on when there is room',
  async (t) => {
    const region = freshRegion(t);
    Region.open(
      { directory: region, system: 'here', group: 'STG', driver: 'auto' },
      { limits: { socketsMax: SOCKETS_MAX } },
    ).close();
    const [server, client] = await Promise.all(['server', 'client'].map((name) => Actor.start(t, { region, name })));
    const port = await server?.run((kit) => {
      const { s, port: bound } = kit.listen();
      const { stp } = kit;
      const dropped: number[] = [];
      const codes: string[] = [];
      kit.notes.set('dropped', dropped);
      kit.notes.set('codes', codes);
      const accept = (): void => {
        void kit
          .code(async () => {
            kit.fds['c'] = await stp.STPaccept(s);
          })
          .then((code) => {
            codes.push(code);
            accept();
          });
      };
      stp.STPsetopt(s, stp.STP_WATCHER, {
        dropped: ({ port: from }) => {
          dropped.push(from);
        },
      });
      accept();
      return bound;
    });
    const codes = await client?.run(
      async (kit, to, most) => {
        const found: string[] = [];
        for (let i = 0; i < most; i++) found.push(await kit.code(() => kit.connect(to)));
        found.push(await kit.code(() => kit.socket()));
        return found;
      },
      port ?? 0,
      SOCKETS_MAX,
    );
    t.same(codes, [...Array.from({ length: SOCKETS_MAX - 1 }, () => ''), 'ECONNRESET', 'EMFILE']);
    const seen = await server?.run((kit) => ({
      codes: kit.notes.get('codes') as string[],
      dropped: kit.notes.get('dropped') as number[],
    }));
    t.same(seen?.codes, [...Array.from({ length: SOCKETS_MAX - 1 }, () => ''), 'EMFILE']);
    t.equal(seen?.dropped.length, 1);
    t.ok((seen?.dropped[0] ?? 0) > 0, 'the port of the client');
    t.equal(await server?.run((kit) => kit.code(() => kit.socket())), 'EMFILE');
    await Promise.all([
      server?.run((kit) => kit.stp.STPclose(kit.fds['c'] ?? -1)),
      client?.run((kit) => kit.stp.STPclose(5)),
    ]);
    t.equal(await client?.run((kit, to) => kit.code(() => kit.connect(to)), port ?? 0), '', 'there is room again');
  },
);
