import { StpError } from '../errors';
import { SocketState } from '../layout';
import { listen } from '../engine';
import { integer } from './check';
import { runtime } from './runtime';

const BACKLOG_MAX = 65_535;

/**
 * Begins to take connection requests at the address of the socket; an unbound one gets a port first. Does not wait.
 * A request that finds the queue full is asked again by its sender, as long as its STP_CONNECT_TIMEOUT allows.
 *
 * Source: "STPlisten(s, backlog)": the maximum queue of pending connection requests.
 * @param s - a descriptor
 * @param backlog - requests that may wait to be accepted, 1 to 65535 (0 counts as 1, as everywhere)
 * @throws EBADF, EINVAL, EISCONN, EADDRINUSE, EADDRNOTAVAIL, ESTPGIVEN
 */
export function STPlisten(s: number, backlog: number): number {
  const call = 'STPlisten';
  const endpoint = runtime().endpoint(call, s);
  const length = Math.max(1, integer(call, 'backlog', backlog, 0, BACKLOG_MAX));
  const { socket, runtime: own } = endpoint;
  if (socket.state === SocketState.given) throw new StpError('ESTPGIVEN', undefined, call);
  if (socket.connected || socket.state === SocketState.connecting) throw new StpError('EISCONN', undefined, call);
  if (socket.state > SocketState.listening) throw new StpError('EINVAL', 'the socket was connected', call);
  if (endpoint.portKind !== 'bound') {
    if (endpoint.portKind === 'ephemeral') own.region.bindings.releaseEphemeral(socket.local.port, socket.local.group);
    const port = endpoint.portKind === 'ephemeral' ? socket.local.port : 0;
    socket.local.port = own.region.bindings.bind(port, socket.local.group, socket.index, {
      shared: endpoint.reusePort,
    });
    endpoint.portKind = 'bound';
  }
  // The engine takes requests before others can find the port.
  listen(own.engine, socket, length);
  own.region.bindings.listen(socket.local.port, socket.local.group, socket.reach, length);
  own.watchRemoval();
  return 0;
}
