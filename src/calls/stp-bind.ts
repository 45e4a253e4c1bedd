import { StpError } from '../errors';
import { reachOf, SocketState } from '../layout';
import { address as checkAddress, boolean, integer } from './check';
import { type Endpoint } from './endpoint';
import { runtime } from './runtime';
import { type StpBindInput } from './types';

/**
 * Gives a socket its address. What the address leaves out is this system, the default group, a port chosen from the
 * free ones, and every IP address. A port is that of an IP address: two sockets may have one number for addresses that
 * have nothing in common, as with TCP on Linux. Does not wait.
 *
 * Source: "STPbind(s, addr, len)": 0 on success; "if no port is given, the next free one is taken from the port file".
 * @param s - a descriptor
 * @param address - null for all by default
 * @param length - of the address, as in the source; must be a number where given, and is not needed
 * @throws EBADF, EINVAL (bound already), EADDRINUSE, EADDRNOTAVAIL (another system, or no port left), EAFNOSUPPORT,
 * ESTPGIVEN
 */
export function STPbind(s: number, address: StpBindInput | null, length?: number): number {
  const call = 'STPbind';
  const endpoint = runtime().endpoint(call, s);
  if (length !== undefined) integer(call, 'length', length, 0, Number.MAX_SAFE_INTEGER);
  const wanted = checkAddress(call, address, 0);
  const reach = reachOf(wanted.ip, boolean(call, 'ipv6Only', address?.ipv6Only ?? false));
  const { socket, runtime: own } = endpoint;
  if (socket.state === SocketState.given) throw new StpError('ESTPGIVEN', undefined, call);
  if (socket.state !== SocketState.open) throw new StpError('EINVAL', 'the socket has an address already', call);
  if (wanted.system !== undefined && wanted.system.toLowerCase() !== own.system.toLowerCase()) {
    throw new StpError('EADDRNOTAVAIL', `${wanted.system} is not this system (${own.system})`, call);
  }
  const group = wanted.group ?? own.group;
  own.followRemoval();
  socket.local.port = own.region.bindings.bind(wanted.port, group, socket.index, { shared: endpoint.reusePort, reach });
  socket.local.group = group;
  socket.local.ip = wanted.ip;
  socket.reach = reach;
  endpoint.portKind = 'bound';
  own.engine.setState(socket, SocketState.bound);
  return 0;
}

/** The default address of an unbound socket: this system, the default group, a port of our own range. */
export function bindByDefault(endpoint: Endpoint): void {
  const { socket, runtime: own } = endpoint;
  if (socket.local.port !== 0) return;
  socket.local.port = own.region.bindings.ephemeral(socket.local.group);
  endpoint.portKind = 'ephemeral';
  own.engine.setState(socket, SocketState.bound);
}
