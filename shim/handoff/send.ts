/**
 * `child.send(message, socket)` and `child.send(message, server)` for sockets and servers of STP: the socket is given
 * and the other process takes it; the server's port is shared and the other process listens there too.
 *
 * A give takes some turns of the loop. What the program sends meanwhile waits behind it, and so does its disconnect:
 * the order of messages is the order of the calls.
 */
import net from 'node:net';
import { nextTick } from '../../src/host';
import { SO_REUSEPORT, SOL_SOCKET, STPsetsockopt, StpError } from '../../src/index';
import { rememberBound } from '../connect/bound';
import { rememberHost } from '../connect/host';
import { type ChannelTarget, SERVER_COMMAND, setBusy, SOCKET_COMMAND } from './channel';
import { giveSocket } from './give';
import { listenerOf } from '../handle/listener';
import { type EndNames, shownEnds } from '../handle/names';
import { streamOf } from '../handle/stream';
import { makeTcpHandle } from '../node/handles';
import { type InternalSocket, isObject } from '../node/internals';
import { status } from '../node/status';
import { shareHandle } from './cluster';
import { note } from '../note';
import { take } from './take';

type Send = (...args: unknown[]) => boolean;
type Done = ((error: Error | null) => void) | undefined;

/** What follows message and handle in the arguments of `send`. */
interface SendRest {
  readonly options: Record<string, unknown>;
  readonly done: Done;
}

/** Sends that wait for the give before them, by channel. */
const queues = new WeakMap<ChannelTarget, (() => void)[]>();

/** Whether a socket or server is STP's alone: Node can't send it. */
export function goesByStp(target: net.Socket | net.Server): boolean {
  return target instanceof net.Server ? listenerOf(target)?.alone === true : streamOf(target) !== undefined;
}

/** In place of `target.send`; `native` is Node's own. */
export function sendThrough(target: ChannelTarget, native: Send, args: readonly unknown[]): boolean {
  const [message, handle] = args;
  const byNode = (): boolean => Reflect.apply(native, target, args);
  const queue = queues.get(target);
  const isSocket = handle instanceof net.Socket && goesByStp(handle);
  const isServer = handle instanceof net.Server && goesByStp(handle);
  // Node itself tells of a channel that is closed.
  if ((!isSocket && !isServer) || target.connected !== true) {
    if (queue === undefined) return byNode();
    queue.push(byNode);
    return false;
  }
  const rest = restOf(args);
  const go = isServer
    ? (): void => {
        sendServer(target, native, message, handle, rest.done);
      }
    : (): void => {
        sendSocket(target, native, message, handle as unknown as InternalSocket, rest);
      };
  if (queue === undefined) go();
  else queue.push(go);
  return true;
}

/** `send(message, handle, [options], [callback])` */
function restOf(args: readonly unknown[]): SendRest {
  const [, , options, callback] = args;
  const done = typeof options === 'function' ? options : callback;
  return {
    options: isObject(options) && typeof options !== 'function' ? options : {},
    done: typeof done === 'function' ? (done as Done) : undefined,
  };
}

function failed(target: ChannelTarget, error: Error, done: Done): void {
  nextTick(() => {
    if (done === undefined) target.emit('error', error);
    else done(error);
  });
}

function sendSocket(
  target: ChannelTarget,
  native: Send,
  message: unknown,
  socket: InternalSocket,
  { options, done }: SendRest,
): void {
  const stream = streamOf(socket);
  if (stream === undefined) return;
  if (options['keepOpen'] === true) {
    failed(target, new StpError('EOPNOTSUPP', 'keepOpen: a connection has one owner', 'send'), done);
    return;
  }
  const release = hold(target);
  connected(socket)
    .then(async () => ({
      names: stream.open ? shownEnds(stream.descriptor, stream.ends) : undefined,
      token: await giveSocket(socket, null),
    }))
    .then(
      (given) => {
        // As with a handle: what happens to the connection from here on is nothing to this socket.
        socket.setTimeout(0);
        Reflect.apply(native, target, [{ cmd: SOCKET_COMMAND, ...given, msg: message }, undefined, undefined, done]);
        release();
      },
      (error: unknown) => {
        failed(target, error as Error, done);
        release();
      },
    );
}

/** One that was just taken, or that connects still, can be given when it stands. */
async function connected(socket: InternalSocket): Promise<void> {
  if (!socket.connecting) return;
  await new Promise((resolve) => socket.once('connect', resolve).once('close', resolve));
}

function sendServer(target: ChannelTarget, native: Send, message: unknown, server: net.Server, done: Done): void {
  const listener = listenerOf(server);
  if (listener === undefined) return;
  try {
    STPsetsockopt(listener.descriptor, SOL_SOCKET, SO_REUSEPORT, true);
  } catch (error) {
    failed(target, error as Error, done);
    return;
  }
  const { ip, port } = listener.address;
  Reflect.apply(native, target, [{ cmd: SERVER_COMMAND, port, host: ip, msg: message }, undefined, undefined, done]);
}

/** All that is sent from now on waits, until the function that it returns is called. */
function hold(target: ChannelTarget): () => void {
  const queue: (() => void)[] = [];
  queues.set(target, queue);
  setBusy(target, true);
  const own = Object.getOwnPropertyDescriptor(target, 'disconnect');
  target.disconnect = () => {
    queue.push(() => target.disconnect?.());
  };
  return () => {
    queues.delete(target);
    setBusy(target, false);
    if (own !== undefined) Object.defineProperty(target, 'disconnect', own);
    // The first of them that is a socket makes the others wait anew.
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const again = queues.get(target);
      if (again === undefined) next();
      else again.push(next);
    }
  };
}

/**
 * An 'internalMessage' about a socket or a server. What is wrong with it can only come from a program that is not this
 * one: it is told as an error.
 */
export function receiveFrom(
  target: ChannelTarget,
  { cmd, token, names, port, host, msg }: Record<string, unknown>,
): void {
  if (cmd === SOCKET_COMMAND) {
    if (typeof token === 'string') deliver(target, msg, take(token, undefined, namesOf(names)));
    return;
  }
  if (typeof port !== 'number' || typeof host !== 'string') return;
  const server = new net.Server();
  const handle = makeTcpHandle();
  shareHandle(handle);
  rememberBound(handle, { ip: host, port, flags: 0, late: () => status('EINVAL') });
  rememberHost(server, host);
  // @note Node 20 to 26 make a server whose handle can't be used emit 'error', to which the program can't listen yet.
  const fail = (error: Error): void => {
    target.emit('error', error);
  };
  server.once('error', fail);
  server.listen(handle, () => {
    server.off('error', fail);
    note(server, 'TAKEN', `listen ${host}:${port}`);
    deliver(target, msg, server);
  });
}

/** Checked as far as a program could be hurt by what it shows. */
function namesOf(value: unknown): EndNames | undefined {
  if (!isObject(value) || !isObject(value['local']) || !isObject(value['remote'])) return undefined;
  return { local: value['local'], remote: value['remote'] };
}

/**
 * Emits 'message', or keeps it until there is a listener.
 * @note Node 20 to 26: the channel keeps the messages that have no listener under a symbol that is not exported, as
 * arguments of `emit`.
 */
function deliver(target: ChannelTarget, message: unknown, handle: net.Socket | net.Server): void {
  const waiting = target.listenerCount('message') > 0 ? undefined : pendingMessages(target.channel);
  if (waiting === undefined) target.emit('message', message, handle);
  else waiting.push(['message', message, handle]);
}

function pendingMessages(channel: unknown): unknown[][] | undefined {
  if (!isObject(channel)) return undefined;
  const key = Object.getOwnPropertySymbols(channel).find(({ description }) => description === 'kPendingMessages');
  const pending = key === undefined ? undefined : channel[key];
  return Array.isArray(pending) ? (pending as unknown[][]) : undefined;
}
