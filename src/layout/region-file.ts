/**
 * The file `region`: what kind of region this is. One block, written once by its creator and put in place by link(2),
 * so that no opener ever sees half of it.
 */
import { defineLayout } from './define-layout';

/** "STPREGN1": changes only if the meaning of `version` itself should ever change. */
export const REGION_MAGIC = 'STPREGN1';
/** Bumped by every change of a layout that the snapshot test notices. */
export const FORMAT_VERSION = 10;

export const RegionHeader = defineLayout(
  'RegionHeader',
  96,
  {
    magic: { at: 0, kind: 'text', size: 8, writer: 'creator', doc: 'REGION_MAGIC' },
    version: { at: 8, kind: 'u32', writer: 'creator', doc: 'FORMAT_VERSION of the creator' },
    socketsMax: { at: 12, kind: 'u32', writer: 'creator', doc: 'sockets that one process may hold' },
    id: {
      at: 16,
      kind: 'u64',
      writer: 'creator',
      doc: 'random number that tells this region from one made later in its place',
    },
    createdAtMs: { at: 24, kind: 'u64', writer: 'creator', doc: 'time of creation, milliseconds since 1970' },
    ringBytes: { at: 32, kind: 'u32', writer: 'creator', doc: 'capacity of one mapped log, bytes, a power of two' },
    framesBytes: {
      at: 36,
      kind: 'u32',
      writer: 'creator',
      doc: 'capacity of one direct log, bytes, a multiple of 4096',
    },
    leaseMs: {
      at: 40,
      kind: 'u32',
      writer: 'creator',
      doc: 'a process of another host is dead when its heartbeat stood still for so long, milliseconds',
    },
  },
  { doc: 'Payload of the only block of the file `region`.' },
);

/** Names of what lies in a region's directory. */
export const REGION_PATHS = {
  header: 'region',
  processes: 'processes',
  links: 'links',
  bells: 'bells',
} as const;
