/** Two processes with a connection between them. */
import { type Actor } from './actor';

/** `fds.s` of the server is connected with `fds.s` of the client. */
export async function connectedPair(server: Actor, client: Actor): Promise<void> {
  const port = await server.run((kit) => {
    const { s, port: chosen } = kit.listen();
    kit.notes.set(
      'accepted',
      kit.stp.STPaccept(s).then(async (c) => {
        kit.fds['s'] = c;
        await kit.stp.STPclose(s);
      }),
    );
    return chosen;
  });
  await client.run(async (kit, to) => {
    kit.fds['s'] = await kit.connect(to);
  }, port);
  await server.run((kit) => kit.notes.get('accepted'));
}
