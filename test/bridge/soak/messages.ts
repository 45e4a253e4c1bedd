/**
 * What the processes of a soak of bridges are told, what they tell, and what goes over a connection before its bytes.
 */

/** One life of one of the processes. */
export interface Life {
  readonly name: string;
  readonly life: number;
}

/** A way from a client to a server: through which bridges, and how the client asks for it. */
export interface Route {
  readonly near: string;
  readonly far: string;
  readonly server: string;
  readonly kind: 'local' | 'socks' | 'http';
  /** Where the near bridge listens. */
  readonly port: number;
  /** What a client of a proxy asks for. */
  readonly target: { readonly system: string; readonly port: number };
}

export interface MemberOptions {
  readonly role: 'client' | 'server';
  readonly life: number;
  readonly seed: number;
  readonly routes: readonly Route[];
  /** Clients: connections at once. */
  readonly connections: number;
  readonly bytesMax: number;
  /** Servers: a port or a path. */
  readonly listen: string;
}

/** A connection that did not come to both its ends. */
export interface Cut {
  /** Number of the route; undefined where the server was not told which. */
  readonly route: number | undefined;
  /** The client at the other end, as far as a server knows. */
  readonly client: Life | undefined;
  readonly code: string;
  readonly beganMs: number;
  readonly atMs: number;
}

export interface Report {
  readonly kind: 'report';
  /** Connections whose every byte came, both ways, with an end in good order. */
  readonly whole: number;
  readonly bytes: number;
  /** Connections that a client has left as it meant to. */
  readonly left: number;
  readonly cuts: readonly Cut[];
  readonly failures: readonly string[];
}

export type ToSupervisor = Report | { readonly kind: 'ready' };
export type ToMember = { readonly kind: 'report' } | { readonly kind: 'stop' };

/** What a client says first, and a server answers. */
export interface Opening {
  readonly route: number;
  /** Of the client: its place in the list of names. */
  readonly client: number;
  readonly life: number;
  readonly stream: number;
  readonly bytes: number;
  /** The client leaves before the end. */
  readonly leaves: boolean;
}

export const CLIENTS = ['client0', 'client1'] as const;
export const OPENING_BYTES = 28;
const MAGIC = 0x4252_4447;

export function encodeOpening({ route, client, life, stream, bytes, leaves }: Opening): Buffer {
  const buffer = Buffer.alloc(OPENING_BYTES);
  [MAGIC, route, client, life, stream, bytes, Number(leaves)].forEach((value, i) => buffer.writeUInt32LE(value, i * 4));
  return buffer;
}

/** Undefined where the bytes are none. */
export function decodeOpening(buffer: Buffer): Opening | undefined {
  const [magic, route = 0, client = 0, life = 0, stream = 0, bytes = 0, leaves = 0] = Array.from(
    { length: OPENING_BYTES / 4 },
    (_, i) => buffer.readUInt32LE(i * 4),
  );
  if (magic !== MAGIC || leaves > 1) return undefined;
  return { route, client, life, stream, bytes, leaves: leaves === 1 };
}
