/**
 * What a socket shows of the two ends of its connection: addresses that look like those of IP, which programs parse.
 */
import { type StpAddress, STPgethostbyname, STPgethostname, STPgetpeername } from '../../src/index';
import { familyOf, loopbackOf } from '../connect/addresses';
import { type SocketName } from '../node/handles';

export interface EndNames {
  readonly local: SocketName;
  readonly remote: SocketName;
}

/** What is known of the two ends beside what the library tells. */
export interface Ends {
  /** What the program has called the peer. */
  readonly ip?: string | undefined;
  /** The local address that the program asked for, while there is no connection. */
  readonly localIp?: string | undefined;
  /** Accepted at an address of IPv6: IPv4 shows as the kernel shows it there. */
  readonly mapped?: boolean;
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

/** Both ends as a socket between them would show them. */
export function namesOf(local: StpAddress, remote: StpAddress, { ip, mapped = false }: Ends): EndNames {
  const shown = (address: string): string => (mapped && familyOf(address) === 4 ? `::ffff:${address}` : address);
  if (local.system.toLowerCase() === remote.system.toLowerCase()) {
    const own = local.ip ?? loopbackOf(4);
    return { local: socketName(shown(own), local.port), remote: socketName(shown(remote.ip ?? own), remote.port) };
  }
  const remoteIp = ip ?? STPgethostbyname(remote.system).ipv6;
  return { local: socketName(loopbackOf(6), local.port), remote: socketName(remoteIp, remote.port) };
}
