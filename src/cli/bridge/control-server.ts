/**
 * The control socket of a running bridge. A client sends one line of JSON and gets one back. What is no request, too
 * long, or too late is answered with an error, or closed; it changes nothing.
 */
import fs from 'node:fs';
import net from 'node:net';
import { CliFailure, ExitCode } from '../failure';
import { isDead } from './control-directory';
import { type ControlReply, type ControlRequest, LINE_MAX_BYTES, requestOf } from './control-protocol';
import { reasonOf } from './option-lines';

const CLIENTS_MAX = 32;
const REQUEST_TIMEOUT_MS = 10_000;
/** For this user alone. */
const UMASK = 0o177;

export type Answer = (request: ControlRequest) => Promise<ControlReply>;

/** Listens at the path; rejects where it can't. The socket of a dead bridge is removed. */
export async function serveControl(socket: string, answer: Answer): Promise<net.Server> {
  if (fs.existsSync(socket) && (await isDead(socket))) fs.rmSync(socket, { force: true });
  const server = net.createServer((client) => {
    serveClient(client, answer);
  });
  server.maxConnections = CLIENTS_MAX;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    // The socket file is made while listen runs.
    const before = process.umask(UMASK);
    try {
      server.listen(socket, resolve);
    } finally {
      process.umask(before);
    }
  });
  // The bridge goes on without it.
  server.on('error', () => undefined);
  return server;
}

function serveClient(client: net.Socket, answer: Answer): void {
  let text = '';
  // What asks must not keep the process: a client that waits for its end sees it when the socket closes.
  client.unref();
  client.setEncoding('utf8');
  client.setTimeout(REQUEST_TIMEOUT_MS, () => client.destroy());
  client.on('error', () => undefined);
  const take = (chunk: string): void => {
    text += chunk;
    const end = text.indexOf('\n');
    if (end < 0 && text.length <= LINE_MAX_BYTES) return;
    client.off('data', take).resume();
    client.setTimeout(0);
    const request = end < 0 ? undefined : requestOf(text.slice(0, end));
    text = '';
    void reply(client, request, answer);
  };
  client.on('data', take);
}

async function reply(client: net.Socket, request: ControlRequest | undefined, answer: Answer): Promise<void> {
  let said: ControlReply;
  try {
    if (request === undefined) throw new CliFailure('that is no request', ExitCode.usage);
    said = await answer(request);
  } catch (error) {
    const { exitCode, hint } = error instanceof CliFailure ? error : new CliFailure('');
    said = { error: reasonOf(error), exitCode, hint };
  }
  const line = `${JSON.stringify(said)}\n`;
  // After a stop the connection ends with the process.
  if (request?.command === 'stop' && !('error' in said)) client.write(line);
  else client.end(line);
}
