/**
 * What the processes of a soak and their supervisor tell each other, and what goes over a connection before its bytes.
 */

/** One life of one of the processes. */
export interface Life {
  readonly slot: number;
  readonly life: number;
}

export interface Report {
  readonly kind: 'report';
  /** Connections whose every byte came, both ways, with an end in good order. */
  readonly whole: number;
  readonly bytes: number;
  /** Sockets that this process took over. */
  readonly taken: number;
  readonly resets: readonly Reset[];
  readonly failures: readonly string[];
  readonly memory: Memory;
}

/** A connection that ended early. */
export interface Reset {
  /** Who held the other end; undefined where nobody told, or where it may have been handed over. */
  readonly by: Life | undefined;
  /** Who was asked; undefined for a server. */
  readonly asked: number | undefined;
  readonly code: string;
  readonly beganMs: number;
  readonly atMs: number;
}

export interface Memory {
  /** After a collection of garbage. */
  readonly heapBytes: number;
  readonly residentBytes: number;
  readonly descriptors: number;
  readonly mappings: number;
}

/** A token for another process, and where the connection stands. */
export interface HandOver {
  readonly kind: 'handOver';
  readonly to: number;
  readonly token: string;
  readonly opening: Opening;
  readonly at: number;
}

export type ToSupervisor = Report | HandOver | { readonly kind: 'ready' };
export type ToProcess = HandOver | { readonly kind: 'report' } | { readonly kind: 'stop' };

/** What a client says first, and a server answers. */
export interface Opening extends Life {
  readonly stream: number;
  readonly bytes: number;
  /** The server hands the connection over before it answers. */
  readonly moves: boolean;
}

export const OPENING_BYTES = 24;
const MAGIC = 0x534f_414b;

export function encodeOpening({ slot, life, stream, bytes, moves }: Opening): Buffer {
  const buffer = Buffer.alloc(OPENING_BYTES);
  [MAGIC, slot, life, stream, bytes, Number(moves)].forEach((value, i) => buffer.writeUInt32LE(value, i * 4));
  return buffer;
}

export function decodeOpening(buffer: Buffer): Opening {
  const [magic, slot = 0, life = 0, stream = 0, bytes = 0, moves = 0] = Array.from({ length: 6 }, (_, i) =>
    buffer.readUInt32LE(i * 4),
  );
  if (magic !== MAGIC || moves > 1) throw new Error(`wrong opening ${buffer.toString('hex')}`);
  return { slot, life, stream, bytes, moves: moves === 1 };
}

/** Milliseconds on the clock of the wall, which hosts share but for their skew. */
export function nowMs(): number {
  return Date.now();
}

export function portOf(slot: number): number {
  return 5000 + slot;
}
