/**
 * Block 0 of a link file: which log it is. Written last by its creator, so that an opener that finds it finds the rest
 * too.
 */
import { randomInt } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { StpError } from '../errors';
import { BLOCK_BYTES, LINK_AT, LinkFormat, LinkHeader } from '../layout';
import { type LogIdentity, type LogSizes } from './storage';

export type Mechanism = 'ring' | 'frames';

export interface LinkInfo {
  readonly mechanism: Mechanism;
  readonly capacityBytes: number;
  readonly identity: LogIdentity;
  /** Number of the file where a ring lies; 0 for frames. */
  readonly ring: number;
  /** Tag and CRC seed of the log's frames, see FRAME_CRC_FROM. */
  readonly seed: number;
}

/** Positions are compared by signed differences of 32 bits; half of what those hold is more than any log needs. */
export const CAPACITY_MAX_BYTES = 0x4000_0000;
export const RING_MIN_BYTES = BLOCK_BYTES;
export const FRAMES_MIN_BYTES = 4 * BLOCK_BYTES;

const RING_LIMIT = 0x1_0000_0000;

/** Path of the file in which the ring of a log lies. */
export function ringPath(log: string, { ring }: LinkInfo): string {
  return `${log}.${ring}`;
}

/** Size of the whole file. */
export function linkFileBytes(capacityBytes: number): number {
  return LINK_AT.data + capacityBytes;
}

/** Says what is wrong with a capacity; undefined where nothing is. */
function capacityFault(mechanism: Mechanism, bytes: number): string | undefined {
  if (!Number.isInteger(bytes) || bytes > CAPACITY_MAX_BYTES)
    return `is not an integer of at most ${CAPACITY_MAX_BYTES}`;
  if (mechanism === 'ring') {
    return bytes >= RING_MIN_BYTES && Number.isInteger(Math.log2(bytes))
      ? undefined
      : `is not a power of two of at least ${RING_MIN_BYTES}`;
  }
  const fits = bytes >= FRAMES_MIN_BYTES && bytes % BLOCK_BYTES === 0;
  return fits ? undefined : `is not a multiple of ${BLOCK_BYTES} of at least ${FRAMES_MIN_BYTES}`;
}

/** The payload of the header block; EINVAL where the capacity does not fit the mechanism. */
export function encodeLinkHeader(identity: LogIdentity, mechanism: Mechanism, capacityBytes: number): Buffer {
  const fault = capacityFault(mechanism, capacityBytes);
  if (fault !== undefined) throw new StpError('EINVAL', `a capacity of ${capacityBytes} bytes ${fault}`);
  const payload = Buffer.alloc(LinkHeader.sizeBytes);
  LinkHeader.encode(
    {
      format: LinkFormat[mechanism],
      capacityBytes,
      ...identityFields(identity),
      ring: mechanism === 'ring' ? randomInt(1, RING_LIMIT) : 0,
    },
    payload,
  );
  return payload;
}

// One by one: an identity may carry more than its type says.
function identityFields(identity: LogIdentity): LogIdentity {
  const { from, to, fromEpoch, toEpoch, regionId } = identity;
  return { from, to, fromEpoch, toEpoch, regionId };
}

/**
 * Reads and checks the payload of a header block; `path` is for the message of ESTPCORRUPT. `largest`: what the region
 * allows.
 */
export function decodeLinkHeader(payload: Uint8Array, path: string, largest?: LogSizes): LinkInfo {
  const bad = (why: string): StpError => new StpError('ESTPCORRUPT', `${path}: ${why}`, 'open');
  if (payload.length !== LinkHeader.sizeBytes) throw bad('the header has a wrong length');
  const values = LinkHeader.decode(payload);
  if (values.format !== LinkFormat.ring && values.format !== LinkFormat.frames)
    throw bad(`format ${values.format} is not known`);
  const mechanism = values.format === LinkFormat.ring ? 'ring' : 'frames';
  const fault = capacityFault(mechanism, values.capacityBytes);
  if (fault !== undefined) throw bad(`a capacity of ${values.capacityBytes} bytes ${fault}`);
  const limit = largest?.[mechanism] ?? CAPACITY_MAX_BYTES;
  if ((values.ring === 0) === (mechanism === 'ring')) throw bad(`ring ${values.ring} does not fit the format`);
  if (values.capacityBytes > limit)
    throw bad(`a capacity of ${values.capacityBytes} bytes, where this region allows ${limit}`);
  return {
    mechanism,
    capacityBytes: values.capacityBytes,
    identity: identityFields(values),
    ring: values.ring,
    seed: seedOf(payload),
  };
}

/** Tag and CRC seed of a log's frames. */
export function seedOf(headerPayload: Uint8Array): number {
  return crc32(headerPayload);
}
