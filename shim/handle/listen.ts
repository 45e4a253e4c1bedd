/**
 * `handle.bind` and `handle.listen` of Node's TCP handles: on STP and TCP (`auto`), or on STP alone.
 *
 * In `auto` TCP comes first, so that errors, the address and the port are what they would be without us; STP then takes
 * the same port.
 */
import net from 'node:net';
import util from 'node:util';
import { StpError } from '../../src/index';
import { nextTick } from '../../src/host';
import { type Configuration } from '../configuration';
import { type Place, placeOf } from '../connect/addresses';
import { type BindAddress, boundTo, rememberBound } from '../connect/bound';
import { wantedFor } from '../connect/decision';
import { hostOf } from '../connect/host';
import { holdPort, servesWorkers, sharedAs } from '../handoff/cluster';
import { regionError, statusOf, unknownHostError } from '../node/errors';
import { status, UV_TCP_IPV6ONLY } from '../node/status';
import { type Handle, type SocketName, ownerOf, type TcpHandle } from '../node/handles';
import { type InternalServer, isObject, normalizeArguments } from '../node/internals';
import { note } from '../note';
import { type ReasonCode } from '../reasons';
import { Listener, type ListenAddress } from './listener';

export type NativeBind = (this: TcpHandle, address: string, port: number, flags?: number) => number;
export type NativeListen = (backlog: number) => number;

/** @note Node 20 to 26: flags of bind, as libuv has them. */
const UV_TCP_REUSEPORT = 2;
const PORT_MAX = 65_535;

/** Server.prototype.listen under `stp`, where no DNS is asked for the host. */
export function listen(native: (...args: unknown[]) => unknown, server: net.Server, args: readonly unknown[]): unknown {
  const [options, callback] = normalizeArguments(args);
  const { host, port } = options;
  // What net.js throws for is left to it.
  const valid =
    (typeof port === 'number' || (typeof port === 'string' && port.trim() !== '')) &&
    Number(port) >= 0 &&
    Number(port) <= PORT_MAX;
  if (!valid || typeof host !== 'string' || host === '' || net.isIP(host) !== 0)
    return Reflect.apply(native, server, args);
  let place: Place;
  try {
    place = placeOf(host, 0);
  } catch (error) {
    statusOf(error);
    place = 'unknown-name';
  }
  if (place === 'unknown-name') {
    const error = unknownHostError(host);
    note(server, 'MODE_STP', `listen ${host}:${port}`, error);
    nextTick(() => server.emit('error', error));
    return server;
  }
  const ip = typeof place === 'string' ? host : place.ip;
  return Reflect.apply(
    native,
    server,
    callback === null ? [{ ...options, host: ip }] : [{ ...options, host: ip }, callback],
  );
}

/** In place of a TCP handle's bind. Where it is certain that STP alone is wanted, nothing is bound in the kernel. */
export function bindTcpHandle(
  settings: Configuration,
  native: NativeBind,
  handle: TcpHandle,
  { ip, port, flags }: BindAddress,
): number {
  const byNode = wantedFor(settings, ip, port).wanted !== 'stp';
  const bind = (): number => native.call(handle, ip, port, flags);
  rememberBound(handle, { ip, port, flags, late: byNode ? undefined : bind });
  return byNode ? bind() : 0;
}

/** In place of the listen of a TCP handle, or of what a cluster worker has in its place. */
export function listenHandle(settings: Configuration, native: NativeListen, handle: Handle, backlog: number): number {
  const server = ownerOf(handle) as InternalServer | undefined;
  if (!isObject(server)) return native(backlog);
  const address = addressOf(handle);
  if (address === undefined) {
    note(server, 'HAS_HANDLE', 'listen');
    // A descriptor of the system's, which may be TCP.
    return settings.mode === 'stp' ? status('EINVAL') : native(backlog);
  }
  const host = hostOf(server) ?? address.ip;
  const { wanted, byRule } = wantedFor(settings, host, address.port);
  const what = `listen ${host}:${address.port}`;
  if (wanted === 'stp')
    return listenAlone(server, handle, address, { backlog, what, reason: byRule ? 'RULE_STP' : 'MODE_STP' });
  const errno = bindLate(handle) || native(backlog);
  if (errno !== 0) return errno;
  if (wanted === 'tcp') note(server, 'RULE_TCP', what);
  else if (servesWorkers(server)) note(server, 'CLUSTER_PRIMARY', what);
  else listenBeside(server, handle, address, { backlog, what });
  return 0;
}

/** What was not bound in the kernel, for its address was to be STP's alone. */
function bindLate(handle: Handle): number {
  const bound = boundTo(handle);
  if (bound?.late === undefined) return 0;
  rememberBound(handle, { ...bound, late: undefined });
  return bound.late();
}

interface Listening {
  readonly backlog: number;
  readonly what: string;
}

function kernelAddress(handle: Handle): Required<SocketName> | undefined {
  const { address, port, family = '' }: SocketName = nameOf(handle);
  return address === undefined || port === undefined ? undefined : { address, port, family };
}

function nameOf(handle: Handle): SocketName {
  const name: SocketName = {};
  (handle as Partial<Handle>).getsockname?.(name);
  return name;
}

function addressOf(handle: Handle): ListenAddress | undefined {
  const bound = boundTo(handle);
  const shared = sharedAs(handle);
  if (bound !== undefined) {
    // Port 0 of a handle that the kernel has bound is a port by now.
    const port = bound.late === undefined ? (kernelAddress(handle)?.port ?? bound.port) : bound.port;
    return {
      ip: bound.ip,
      port,
      shared: shared !== undefined || (bound.flags & UV_TCP_REUSEPORT) !== 0,
      ipv6Only: (bound.flags & UV_TCP_IPV6ONLY) !== 0,
    };
  }
  const name = shared === undefined ? undefined : kernelAddress(handle);
  return name === undefined || shared === undefined
    ? undefined
    : { ip: name.address, port: name.port, shared: true, ipv6Only: shared.ipv6Only };
}

function listenAlone(
  server: InternalServer,
  handle: Handle,
  address: ListenAddress,
  { backlog, what, reason }: Listening & { reason: ReasonCode },
): number {
  let error: Error | undefined;
  let errno = 0;
  try {
    const place = placeOf(address.ip, 0);
    // A server can only listen at an address of this system.
    if (typeof place === 'string' || place.system !== undefined)
      throw new StpError('EADDRNOTAVAIL', undefined, 'STPbind');
    if (servesWorkers(server)) holdPort(handle, address);
    else watch(server, new Listener(handle, address, backlog, true), true);
  } catch (thrown) {
    errno = statusOf(thrown);
    error = regionError(thrown);
  }
  note(server, reason, what, error);
  return errno;
}

/** STP at the address at which the handle listens by TCP. */
function listenBeside(
  server: InternalServer,
  handle: Handle,
  address: ListenAddress,
  { backlog, what }: Listening,
): void {
  const name = kernelAddress(handle);
  if (name === undefined) return;
  try {
    watch(server, new Listener(handle, { ...address, ip: name.address, port: name.port }, backlog, false), false);
    note(server, 'LISTENING', what);
  } catch (error) {
    if (!(error instanceof StpError)) throw error;
    note(server, error.code === 'EADDRINUSE' ? 'PORT_TAKEN' : 'REGION_UNUSABLE', what, error);
  }
}

/**
 * The port may be lost to another process that took this one for dead. TCP has no such thing; the error is the one of a
 * listen.
 */
function watch(server: InternalServer, listener: Listener, alone: boolean): void {
  const { ip, port } = listener.address;
  listener.onLost = () => {
    const errno = status('EADDRINUSE');
    const text = util.getSystemErrorMap().get(errno)?.[1] ?? 'failed';
    const error = Object.assign(new Error(`listen EADDRINUSE: ${text} ${ip}:${port}`), {
      code: 'EADDRINUSE',
      errno,
      syscall: 'listen',
      address: ip,
      port,
    });
    note(server, 'PORT_TAKEN', `listen ${ip}:${port}`, error);
    if (!alone) return;
    server._handle?.close();
    server._handle = null;
    nextTick(() => server.emit('error', error));
  };
}
