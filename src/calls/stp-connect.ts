import { StpError } from '../errors';
import { calledIp, ipFamily, isAnyIp, SocketState, sourceIp } from '../layout';
import { connect, type EngineAddress } from '../engine';
import { type ProcessInfo } from '../region';
import { address as checkAddress, type CheckedAddress, integer } from './check';
import { type Endpoint } from './endpoint';
import { bindByDefault } from './stp-bind';
import { remember } from './failure';
import { runtime } from './runtime';
import { type StpAddressInput } from './types';

/**
 * Connects to a listening socket; an unbound socket gets its default address first. Where the address names an IP
 * address, to the socket that is bound to it, else to one that covers its family; '0.0.0.0' and '::' call loopback, as
 * with TCP. Waits until the server has accepted, at most STP_CONNECT_TIMEOUT milliseconds (0, the default: without
 * end).
 *
 * Source: "STPconnect(s, name, len)": "waits until the server accepts"; a busy server queues the request.
 * @param s - a descriptor
 * @param address - the port is required; system and group by default those of this process
 * @param length - of the address, as in the source; must be a number where given, and is not needed
 * @returns a promise of 0
 * @throws (rejects) EBADF, EINVAL (also: IPv4 called from a socket bound to IPv6, or the other way), EAFNOSUPPORT,
 * EDESTADDRREQ, EISCONN, EALREADY, EOPNOTSUPP (listening), ECONNREFUSED, EHOSTUNREACH,
 *   ETIMEDOUT, EADDRNOTAVAIL, ECONNABORTED (closed meanwhile), ENOSPC, EMFILE
 */
export async function STPconnect(s: number, address: StpAddressInput, length?: number): Promise<number> {
  const call = 'STPconnect';
  const endpoint = runtime().endpoint(call, s);
  if (length !== undefined) integer(call, 'length', length, 0, Number.MAX_SAFE_INTEGER);
  const wanted = checkAddress(call, address, 1);
  checkState(call, endpoint.socket.state, endpoint);
  begin(call, endpoint, wanted);
  return new Promise<number>((resolve, reject) => {
    endpoint.connecting = {
      resolve,
      reject: (error) => {
        reject(remember(error, s));
      },
    };
  });
}

function checkState(call: string, state: number, endpoint: Endpoint): void {
  if (state === SocketState.open || state === SocketState.bound) return;
  if (state === SocketState.connecting) throw new StpError('EALREADY', undefined, call);
  if (state === SocketState.listening) throw new StpError('EOPNOTSUPP', 'the socket is listening', call);
  if (state === SocketState.given) throw new StpError('ESTPGIVEN', undefined, call);
  if (endpoint.socket.connected) throw new StpError('EISCONN', undefined, call);
  throw new StpError('EINVAL', 'the socket was connected before', call);
}

function begin(call: string, endpoint: Endpoint, wanted: CheckedAddress): void {
  const { socket, runtime: own } = endpoint;
  const { region } = own;
  const system = wanted.system === undefined ? own.system : region.hosts.nameOf(wanted.system);
  const remote: EngineAddress = {
    system,
    group: wanted.group ?? own.group,
    port: wanted.port,
    ip: calledIp(wanted.ip),
  };
  if (remote.ip !== '' && socket.reach !== '' && ipFamily(remote.ip) !== ipFamily(socket.reach)) {
    throw new StpError('EINVAL', `${remote.ip} can't be called from ${socket.reach}`, call);
  }
  const found = own.firstListener(socket, remote);
  const peer = found === undefined ? undefined : own.engine.peer(found.process.number, found.process.epoch);
  if (found === undefined || peer === undefined) throw new StpError('ECONNREFUSED', addressText(remote), call);
  bindByDefault(endpoint);
  // What a bind left open is known now: the kernel's choice, where the call stays in this system.
  if (isAnyIp(socket.local.ip))
    socket.local.ip = system.toLowerCase() === own.system.toLowerCase() ? sourceIp(remote.ip) : '';
  connect(own.engine, socket, peer, remote, {
    timeoutMs: endpoint.connectTimeoutMs,
    anyListener: found.shared,
    early: endpoint.connectQueued ? { backlog: found.backlog } : null,
    linkTimeoutMs: peer.port.attached ? 0 : linkLimitMs(endpoint, found.process),
  });
  endpoint.updateHold();
}

/** The limit for a first contact with the process of a listener: 0 for none. */
function linkLimitMs(endpoint: Endpoint, listener: ProcessInfo): number {
  const limitMs = endpoint.connectLinkTimeoutMs;
  if (limitMs === 0 || !endpoint.connectAwaitsBusy) return limitMs;
  const { region, links } = endpoint.runtime;
  return !links.hasNotAnswered(listener.number) && region.hasItsRights(listener) ? 0 : limitMs;
}

function addressText({ system, group, port, ip }: EngineAddress): string {
  return `stp://${system}:${port}/${group}${ip === '' ? '' : ` ${ip}`}`;
}
