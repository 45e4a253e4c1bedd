import { StpError } from '../errors';
import { shown } from './check';
import { PF_STP, SOCK_STREAM } from './constants';
import { runtime } from './runtime';

/**
 * Makes a socket. The first call of a process opens the region (STP_REGION). Does not wait.
 *
 * Source: "STPsocket(PF_STP, SOCK_STREAM, PF_STP)" returns a non-negative integer, the socket descriptor.
 * @param domain - PF_STP
 * @param type - SOCK_STREAM
 * @param protocol - PF_STP, or 0 for the same
 * @returns a descriptor, 0 or more
 * @throws EAFNOSUPPORT, EPROTOTYPE, EPROTONOSUPPORT, EMFILE, ENOSPC; ESTPREGION, ESTPVERSION, EACCES... where the
 * region can't be used
 */
export function STPsocket(domain: number, type: number, protocol: number): number {
  const call = 'STPsocket';
  if (domain !== PF_STP)
    throw new StpError('EAFNOSUPPORT', `domain must be PF_STP (${PF_STP}), not ${shown(domain)}`, call);
  if (type !== SOCK_STREAM)
    throw new StpError('EPROTOTYPE', `type must be SOCK_STREAM (${SOCK_STREAM}), not ${shown(type)}`, call);
  if (protocol !== PF_STP && protocol !== 0)
    throw new StpError('EPROTONOSUPPORT', `protocol must be PF_STP (${PF_STP}), not ${shown(protocol)}`, call);
  const own = runtime();
  return own.adopt(own.engine.open()).socket.index;
}
