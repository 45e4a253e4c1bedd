/** A watcher that receives straight from the log: what it takes, what it leaves, and in which order. */
import t from 'tap';
import { Actor, freshRegion } from './actor';
import { connectedPair } from './connected-pair';
import { DRIVERS } from './variants';

/** What the watcher is told, and how many bytes it wants. */
interface Heard {
  told: string[];
  wants: unknown;
  next: (text: string) => void;
}

async function watch(server: Actor): Promise<void> {
  await server.run((kit) => {
    const heard: Heard = { told: [], wants: 0, next: () => undefined };
    const tell = (text: string): void => {
      heard.told.push(text);
      heard.next(text);
    };
    kit.notes.set('heard', heard);
    kit.stp.STPsetopt(kit.fds['s'] ?? -1, kit.stp.STP_WATCHER, {
      wants: () => heard.wants as number,
      received: (bytes) => {
        tell(`received ${Buffer.from(bytes).toString()}`);
      },
      readable: (bytes) => {
        tell(`readable ${bytes}`);
      },
    });
  });
}

for (const variant of DRIVERS) {
  void t.test(`bytes straight from the log, ${variant.title}`, variant.skip, async (t) => {
    const region = freshRegion(t, variant.under);
    const [server, client] = await Promise.all(
      ['server', 'client'].map((name) => Actor.start(t, { region, ...variant.options, name })),
    );
    if (server === undefined || client === undefined) throw new Error('no actors');
    await connectedPair(server, client);
    await watch(server);
    const send = (text: string): Promise<unknown> =>
      client.run((kit, sent) => kit.sendText(kit.fds['s'] ?? -1, sent), text);
    const read = (length: number): Promise<string> =>
      server.run((kit, bytes) => kit.text(kit.fds['s'] ?? -1, bytes), length);
    /** The first that the watcher is told after `text` was sent. */
    const told = async (text: string, wants: number | string): Promise<string> => {
      await server.run((kit, wanted) => {
        const heard = kit.notes.get('heard') as Heard;
        heard.wants = wanted;
        heard.told = [];
      }, wants);
      await send(text);
      return server.run((kit) => {
        const heard = kit.notes.get('heard') as Heard;
        return heard.told[0] ?? new Promise<string>((resolve) => (heard.next = resolve));
      });
    };

    t.equal(await told('one', 100), 'received one', 'it gets what it takes');
    t.equal(await told('second', 5), 'readable 6', 'more than it takes stays to be read');
    t.equal(await read(6), 'second');
    t.equal(await told('three', 'many'), 'readable 5', 'what is no number is none');
    t.equal(await read(2), 'th');
    await send('four');
    t.equal(await read(7), 'reefour', 'nothing overtakes what waits to be read');
    t.equal(await told('five', 4), 'received five', 'then it gets bytes again');
    const counts = await server.run((kit) => kit.stp.STPgetopt(kit.fds['s'] ?? -1, kit.stp.STP_COUNTS));
    t.match(counts, { bytesReceived: 22 });
    await client.run((kit) => kit.stp.STPshutdown(kit.fds['s'] ?? -1, 1));
    t.equal(await read(1), '', 'the end comes after the last byte');
  });
}
