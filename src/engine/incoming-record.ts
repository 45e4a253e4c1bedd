/**
 * One record from a peer. It is good only during the call that brings it: the next record takes its place, and `bytes`
 * is memory that the peer may change meanwhile, so nothing of it is read twice.
 */
export interface IncomingRecord {
  readonly type: number;
  /** Index of the peer's socket. */
  readonly source: number;
  /** Index and generation of the socket here that it is for; a port in ASK, CONNECT and CANCEL. */
  readonly socket: number;
  readonly generation: number;
  readonly bytes: Buffer;
  readonly at: number;
  readonly lengthBytes: number;
}

/** What GONE says of the record that it answers. */
export type RecordName = Pick<IncomingRecord, 'type' | 'source' | 'socket' | 'generation'>;

export function payloadOf({ bytes, at, lengthBytes }: IncomingRecord): Buffer {
  return bytes.subarray(at, at + lengthBytes);
}
