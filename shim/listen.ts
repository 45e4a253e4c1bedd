/**
 * Server.prototype.listen: on STP and TCP (`auto`), on STP alone, or as Node does it.
 *
 * In `auto` TCP comes first, so that errors, `address()` and the port are what they would be without us; STP then takes the same port.
 */
import cluster from 'node:cluster';
import { tracingChannel } from 'node:diagnostics_channel';
import { addAbortListener } from 'node:events';
import net from 'node:net';
import { StpError } from '../src/index';
import { placeOf } from './addresses';
import { PortHolder, servesWorkers, silence } from './cluster';
import { type Configuration } from './configuration';
import { type Native } from './connect';
import { wishFor } from './decision';
import { type InternalServer, isObject, normalizeArguments } from './internals';
import { listenWish, type ListenWish } from './listen-options';
import { Listener } from './listener';
import { codedError, failure, failureOf, listenError, type NodeError, unknownHostError } from './node-errors';
import { note } from './note';
import { type ReasonCode } from './reasons';
import { listenerOf, setListener } from './stp-server';

/** As net.js: the kernel makes 512 of it. */
const BACKLOG_DEFAULT = 511;
const BACKLOG_MAX = 65_535;
const ANY_HOST = '::';

type PortWish = Extract<ListenWish, { kind: 'port' }>;

const listening = tracingChannel('net.server.listen');

export function listen(settings: Configuration, native: Native, self: unknown, args: readonly unknown[]): unknown {
  const server = self as InternalServer;
  const byNode = (): unknown => Reflect.apply(native, self, args);
  if (server._handle !== null) return byNode();
  if (listenerOf(server)?.open === true) throw alreadyListening(server, native);
  const wish = listenWish(args);
  if (wish.kind === 'none') return byNode();
  const decided = (reason: ReasonCode, what: string): unknown => {
    note(server, reason, what);
    return byNode();
  };
  if (wish.kind === 'path') return decided('UNIX_PATH', 'listen');
  if (wish.kind === 'handle') {
    if (!wish.tcp || settings.mode !== 'stp') return decided('HAS_HANDLE', `listen ${wish.what}`);
    return refuseHandle(server, args, wish.what);
  }
  const what = `listen ${wish.host ?? ANY_HOST}:${wish.port}`;
  const { wish: way, byRule } = wishFor(settings, wish.host ?? ANY_HOST, wish.port);
  if (way === 'tcp') return decided('RULE_TCP', what);
  const reason = byRule ? 'RULE_STP' : 'MODE_STP';
  if (cluster.isPrimary && servesWorkers(server)) return way === 'stp' ? holdPort(server, wish, reason) : decided('CLUSTER_PRIMARY', what);
  const inCluster = cluster.isWorker && !wish.exclusive;
  if (way === 'stp' && !inCluster) return listenAlone(server, args, wish, reason);
  listenBeside(server, wish, { what, shared: inCluster || wish.reusePort, stpReason: way === 'stp' ? reason : undefined });
  return byNode();
}

/** For the workers of a cluster, which listen themselves. */
function holdPort(server: InternalServer, { host = ANY_HOST, port }: PortWish, reason: ReasonCode): unknown {
  let error: NodeError | undefined;
  try {
    error = hostProblem(host, port);
    if (error === undefined) server._handle = new PortHolder(host, port);
  } catch (thrown) {
    error = listenError(failureOf(thrown), host, port);
  }
  note(server, reason, `hold ${host}:${port}`, error);
  if (error === undefined) process.nextTick(() => server.emit('listening'));
  else fail(server, error);
  return server;
}

/** The error of a second listen, Node's own. @note Node 20 to 26 throw it first thing, for whatever handle there is. */
function alreadyListening(server: InternalServer, native: Native): unknown {
  Object.defineProperty(server, '_handle', { value: true, configurable: true, writable: true, enumerable: true });
  try {
    Reflect.apply(native, server, []);
  } catch (error) {
    return error;
  } finally {
    server._handle = null;
  }
  return codedError('ERR_SERVER_ALREADY_LISTEN', 'Listen method has been called more than once without closing.');
}

interface Beside {
  /** What is noted. */
  readonly what: string;
  /** Others have the port too. */
  readonly shared: boolean;
  /** The handle is only there for what Node does with it: by TCP nothing may listen. */
  readonly stpReason: ReasonCode | undefined;
}

/**
 * Adds STP to a listen by Node as soon as that has its handle, which may be after a look-up, or when the primary of a cluster has answered.
 * @note Node 20 to 26 call `_listen2` on the server so that it can be wrapped; it returns with the handle set, or null after an error.
 */
function listenBeside(server: InternalServer, wish: PortWish, beside: Beside): void {
  const own = ownListen2(server);
  const restore = (): void => {
    if (own === undefined) Reflect.deleteProperty(server, '_listen2');
    else Object.defineProperty(server, '_listen2', own);
  };
  const wrapper = function _listen2(this: InternalServer, ...args: unknown[]): unknown {
    restore();
    if (beside.stpReason !== undefined && this._handle !== null) silence(this._handle);
    const result = this._listen2?.(...args);
    if (this._handle !== null) addStp(this, wish, beside);
    return result;
  };
  beneath.set(wrapper, own);
  Object.defineProperty(server, '_listen2', { value: wrapper, configurable: true, writable: true });
}

/** What a wrapper of ours has taken the place of. */
const beneath = new WeakMap<object, PropertyDescriptor | undefined>();

/** The server's own `_listen2`, if any, and no wrapper: a worker may listen again before the primary has answered, and then only that counts. */
function ownListen2(server: InternalServer): PropertyDescriptor | undefined {
  const own = Object.getOwnPropertyDescriptor(server, '_listen2');
  const wrapper = own?.value as object | undefined;
  return wrapper !== undefined && beneath.has(wrapper) ? beneath.get(wrapper) : own;
}

function addStp(server: InternalServer, wish: PortWish, { what, shared, stpReason }: Beside): void {
  const address = server.address();
  if (address === null || typeof address === 'string') return;
  const { address: host, port } = address;
  try {
    setListener(server, new Listener(server, { host, port, backlog: backlogOf(wish), alone: false, shared, required: stpReason !== undefined }));
    note(server, stpReason ?? 'LISTENING', what);
  } catch (error) {
    if (!(error instanceof StpError)) throw error;
    note(server, stpReason ?? (error.code === 'EADDRINUSE' ? 'PORT_TAKEN' : 'REGION_UNUSABLE'), what, error);
    if (stpReason === undefined) return;
    // @note Node 20 to 26 emit 'listening' by a tick for which there must be a handle then.
    server._handle?.close();
    server._handle = null;
    fail(server, listenError(failureOf(error), host, port));
  }
}

/** As for kernels, less than none is as much as can be had. */
function backlogOf({ backlog }: PortWish): number {
  return backlog < 0 ? BACKLOG_MAX : Math.min(BACKLOG_MAX, Math.trunc(backlog)) || BACKLOG_DEFAULT;
}

/** STP and nothing else: what net.js does with a handle, done with a descriptor. */
function listenAlone(server: InternalServer, args: readonly unknown[], wish: PortWish, reason: ReasonCode): unknown {
  begin(server, args, wish.signal);
  if (wish.host === undefined) {
    bindAlone(server, wish, reason);
    return server;
  }
  // @note Node 20 to 26 look every host up, addresses too: the server listens a tick later, unless it was closed or told something else.
  const id = server._listeningId;
  process.nextTick(() => {
    if (id === server._listeningId) bindAlone(server, wish, reason);
  });
  return server;
}

function bindAlone(server: InternalServer, wish: PortWish, reason: ReasonCode): void {
  const { port } = wish;
  let host = wish.host ?? ANY_HOST;
  let error: NodeError | undefined;
  try {
    const place = placeOf(host, 0);
    if (place === 'unknown-name') {
      error = unknownHostError(host);
      note(server, reason, `listen ${host}:${port}`, error);
      server.emit('error', error);
      return;
    }
    // A server can only listen at an address of this system.
    if (place === 'foreign' || place.system !== undefined) throw new StpError('EADDRNOTAVAIL', undefined, 'STPbind');
    host = place.ip;
    setListener(server, new Listener(server, { host, port, backlog: backlogOf(wish), alone: true, shared: wish.reusePort, required: true }), host);
    server._connectionKey = `${net.isIPv6(host) ? 6 : 4}:${host}:${port}`;
  } catch (thrown) {
    error = listenError(failureOf(thrown), host, port);
  }
  note(server, reason, `listen ${host}:${port}`, error);
  if (error === undefined) {
    if (listening.hasSubscribers) listening.asyncEnd.publish({ server });
    process.nextTick(tellListening, server, listenerOf(server));
  } else fail(server, error);
}

/** What net.js does first in a listen. */
function begin(server: InternalServer, args: readonly unknown[], signal: unknown): void {
  const [options, callback] = normalizeArguments(args);
  if (listening.hasSubscribers) listening.asyncStart.publish({ server, options });
  if (callback !== null) server.once('listening', callback);
  server._listeningId += 1;
  if (!isObject(signal)) return;
  const close = (): void => {
    server.close();
  };
  if ((signal as unknown as AbortSignal).aborted) process.nextTick(close);
  else {
    const disposable = addAbortListener(signal as unknown as AbortSignal, close);
    server.once('close', () => {
      disposable[Symbol.dispose]();
    });
  }
}

/** A server can only listen at an address of this system. */
function hostProblem(host: string | undefined, port: number): NodeError | undefined {
  if (host === undefined) return undefined;
  const place = placeOf(host, 0);
  if (place === 'unknown-name') return unknownHostError(host);
  if (place === 'foreign' || place.system !== undefined) return listenError(failure('EADDRNOTAVAIL'), host, port);
  return undefined;
}

function fail(server: InternalServer, error: NodeError): void {
  if (listening.hasSubscribers) listening.error.publish({ server, error });
  process.nextTick(() => server.emit('error', error));
}

function tellListening(server: InternalServer, listener: Listener | undefined): void {
  if (listener?.open !== true) return;
  listener.run(() => {
    server.emit('listening');
  });
}

/** STP only, and asked to listen at what may be a TCP socket of the system's. */
function refuseHandle(server: InternalServer, args: readonly unknown[], what: string): unknown {
  const [options] = normalizeArguments(args);
  begin(server, args, isObject(options) ? options['signal'] : undefined);
  const error = listenError(failure('EINVAL'), null, 0);
  error.message += ` (${what}: STP_NET=stp allows no sockets of the system's but Unix sockets by path)`;
  fail(server, error);
  return server;
}
