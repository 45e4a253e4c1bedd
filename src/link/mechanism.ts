/** How two processes are linked: mechanism, names in the log, whether there is room for it, and our end of it. */
import { StpError } from '../errors';
import { type ProcessInfo, type Region } from '../region';
import { type LogIdentity } from '../storage';
import { Link, type LinkOwner } from './link';

/** Rings where both ends can map the same memory, else frames. */
function mechanismOf({ storage, self }: Region, peer: ProcessInfo): 'ring' | 'frames' {
  return peer.bootId === self.bootId && self.canMap && peer.canMap && storage.mechanisms.has('ring')
    ? 'ring'
    : 'frames';
}

/** ENOSPC: the peer's end needs as much room as ours. Better told here than by a peer that can't make it. */
export function checkRoom(region: Region, peer: ProcessInfo): void {
  const { storage, limits, self } = region;
  const bytes = mechanismOf(region, peer) === 'ring' ? limits.ringBytes : limits.framesBytes;
  const ends = peer === self ? 1 : 2;
  const free = storage.freeBytes();
  if (free !== undefined && free < ends * bytes)
    throw new StpError('ENOSPC', `a link with process ${peer.number} takes ${ends * bytes} bytes, ${free} are free`);
}

/** What the log that we write for `peer` says of itself. */
function identityOf({ self, id }: Region, peer: ProcessInfo): LogIdentity {
  return { from: self.number, to: peer.number, fromEpoch: self.epoch, toEpoch: peer.epoch, regionId: id };
}

/**
 * Our end of a link with `peer`, whose log is made at `place`. Throws ENOSPC, EMFILE and the like, and leaves nothing
 * behind then.
 */
export function createLink(region: Region, owner: LinkOwner, place: string, peer: ProcessInfo): Link {
  const { storage, limits } = region;
  const mechanism = mechanismOf(region, peer);
  const capacityBytes = mechanism === 'ring' ? limits.ringBytes : limits.framesBytes;
  const out = storage.createLog(place, identityOf(region, peer), mechanism, capacityBytes);
  const link = new Link(owner, peer.number, peer.epoch, out, mechanism === 'ring');
  link.remote = storage.shared;
  return link;
}
