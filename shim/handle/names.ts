/** What a socket shows of the two ends of its connection: addresses that look like those of IP, which programs parse. */
import { type StpAddress, STPgethostbyname, STPgethostname, STPgetpeername } from '../../src/index';
import { familyOf, loopbackOf } from '../connect/addresses';
import { ANY_AS_LOOPBACK } from '../connect/own-addresses';
import { type SocketName } from '../node/internals';

export interface EndNames {
  readonly local: SocketName;
  readonly remote: SocketName;
}

/** What a program has called the two ends. */
export interface Ends {
  /** The peer; where that is this system, this end too. Undefined: by the peer's system. */
  readonly ip?: string | undefined;
  /** This system, where the peer is of it: of an accepted socket, both ends. */
  readonly ownIp?: string | undefined;
  /** The local address that the program asked for. */
  readonly localIp?: string | undefined;
  /** Of a socket that was taken: what its giver said, until it is here. */
  readonly early?: EndNames | undefined;
}

export function socketName(ip: string, port: number): SocketName {
  return { address: ip, family: familyOf(ip) === 6 ? 'IPv6' : 'IPv4', port };
}

/** The own end of a descriptor that was bound and has no peer yet. */
export function boundName(descriptor: number, ip: string): SocketName {
  return socketName(ip, STPgethostname(descriptor).port);
}

/** Both ends of a descriptor; throws what the calls throw. */
export function shownEnds(descriptor: number, ends: Ends): EndNames {
  if (ends.early !== undefined && descriptor < 0) return ends.early;
  return namesOf(STPgethostname(descriptor), STPgetpeername(descriptor), ends);
}

/** The address from which the kernel calls one of this system, where the program names none. */
function sourceOf(ip: string): string {
  return ip.startsWith('127.') ? loopbackOf(4) : ip;
}

function namesOf(local: StpAddress, remote: StpAddress, ends: Ends): EndNames {
  if (local.system.toLowerCase() === remote.system.toLowerCase()) {
    const { ip = loopbackOf(4), localIp = '' } = ends;
    const peer = ends.ownIp ?? ANY_AS_LOOPBACK.get(ip) ?? ip;
    const own = localIp === '' || ANY_AS_LOOPBACK.has(localIp) ? ends.ownIp ?? sourceOf(peer) : localIp;
    return { local: socketName(own, local.port), remote: socketName(peer, remote.port) };
  }
  const remoteIp = ends.ip ?? STPgethostbyname(remote.system).ipv6;
  return { local: socketName(loopbackOf(6), local.port), remote: socketName(remoteIp, remote.port) };
}
