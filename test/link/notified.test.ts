/** Whatever is written into the liveness FIFO of a process, it meets those that make a link with it. */
import fs from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { Actor, freshRegion } from '../calls/actor';

const GARBAGE = ['!', 'what is this', Buffer.alloc(64, 0xff), Buffer.alloc(4096, 7), Buffer.alloc(4)];

void t.test('a client is met though garbage was written before its notification', async (t) => {
  const region = freshRegion(t);
  const server = await Actor.start(t, { region, name: 'server' });
  const port = await server.run((kit) => {
    const { s, port: bound } = kit.listen();
    kit.fds['s'] = s;
    return bound;
  });
  const [number] = fs.readdirSync(path.join(region, 'bells'));
  for (const [i, garbage] of GARBAGE.entries()) {
    fs.writeFileSync(path.join(region, 'bells', number ?? ''), garbage);
    const client = await Actor.start(t, { region, name: `client ${i}` });
    const accepted = server.run((kit) => kit.stp.STPaccept(kit.fds['s'] ?? -1));
    t.equal(await client.run((kit, to) => kit.code(() => kit.connect(to)), port), '');
    t.ok((await accepted) >= 0);
    await client.kill();
  }
});
