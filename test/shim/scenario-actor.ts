/** One end of the scenarios: `{ serve: name }` listens and answers with the port, `{ finish }` with the log; `{ call: name, port }` is the other end. */
import type net from 'node:net';
import { serveParent } from './kit';
import { Log, type Scenario } from './scenario-kit';
import { scenarios } from './scenarios';

let server: net.Server | undefined;
let log = new Log();

function scenario(name: unknown): Scenario {
  const found = scenarios[String(name)];
  if (found === undefined) throw new Error(`no scenario ${String(name)}`);
  return found;
}

serveParent(async (message) => {
  if ('serve' in message) {
    log = new Log();
    const own = scenario(message['serve']).server(log);
    server = own;
    await new Promise<void>((resolve, reject) => {
      own.once('error', reject);
      own.listen(0, '127.0.0.1', resolve);
    });
    const { port } = own.address() as net.AddressInfo;
    log.name(port, 'SERVER');
    return { port };
  }
  if ('finish' in message) {
    await new Promise((resolve) => server?.close(resolve));
    // 'close' of the last socket comes after that of its server.
    await new Promise((resolve) => setTimeout(resolve, 10));
    return { lines: log.lines };
  }
  const own = new Log();
  const port = Number(message['port']);
  own.name(port, 'SERVER');
  await scenario(message['call']).client(port, own);
  return { lines: own.lines };
});
