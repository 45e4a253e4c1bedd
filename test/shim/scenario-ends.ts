/**
 * Both ends of scenarios in a forked process: `{ serve: name }` listens and answers with the port, `{ finish }` with
 * the log and by what its connections came; `{ call: name, port }` is the other end.
 */
import type net from 'node:net';
import { serveParent } from './kit';
import { Log, type Scenario, until } from './scenario-kit';

function settled(): Promise<unknown> {
  return new Promise((resolve) => setTimeout(resolve, 10));
}

/**
 * Plays what the parent asks for, one scenario at a time; `questions` of the program's own, `{ name: true }`, are
 * answered with `{ answer }`.
 */
export function playScenarios(
  scenarios: Readonly<Record<string, Scenario>>,
  questions: Readonly<Record<string, () => unknown>> = {},
): void {
  let server: net.Server | undefined;
  let log = new Log();
  let missing = 0;
  let transports: string[] = [];

  const scenario = (name: unknown): Scenario => {
    const found = scenarios[String(name)];
    if (found === undefined) throw new Error(`no scenario ${String(name)}`);
    return found;
  };

  const serve = async (name: unknown): Promise<object> => {
    log = new Log();
    const played = scenario(name);
    const own = played.server(log);
    server = own;
    missing = played.connections ?? 0;
    transports = [];
    own.on('connection', (socket: net.Socket & { stp?: { transport: string } }) => {
      missing -= 1;
      transports.push(socket.stp?.transport ?? 'tcp');
    });
    await new Promise<void>((resolve, reject) => {
      own.once('error', reject);
      own.listen(0, played.host ?? '127.0.0.1', resolve);
    });
    const { port } = own.address() as net.AddressInfo;
    log.name(port, 'SERVER');
    return { port };
  };

  const finish = async (): Promise<object> => {
    // What the other end did last may come in behind the question.
    await until(() => missing <= 0, 'all connections');
    await settled();
    await new Promise((resolve) => server?.close(resolve));
    // 'close' of the last socket comes after that of its server.
    await settled();
    return { lines: log.grouped(), transports };
  };

  const call = async (name: unknown, port: number): Promise<object> => {
    const own = new Log();
    own.name(port, 'SERVER');
    await scenario(name).client(port, own);
    return { lines: own.grouped() };
  };

  serveParent((message) => {
    const own = Object.keys(message)
      .map((name) => questions[name])
      .find((question) => question !== undefined);
    if (own !== undefined) return Promise.resolve({ answer: own() });
    if ('serve' in message) return serve(message['serve']);
    if ('finish' in message) return finish();
    return call(message['call'], Number(message['port']));
  });
}
