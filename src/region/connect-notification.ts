/**
 * What is written into the liveness FIFO of a process: the number of the process that has made a link with it, or 0: it
 * is to look at all names. So many may come together that some find no room; then it looks at all names as well.
 */

export const NOTIFICATION_BYTES = 4;

/** No process has this number. */
export const LOOK_AT_ALL = 0;

export function encodeNotification(process: number): Buffer {
  const bytes = Buffer.alloc(NOTIFICATION_BYTES);
  bytes.writeUInt32LE(process);
  return bytes;
}

/** The processes that told of themselves; empty: look at all names. Anything may have been written there. */
export function decodeNotifications(bytes: Buffer): readonly number[] {
  if (bytes.length % NOTIFICATION_BYTES !== 0) return [];
  const numbers = new Set<number>();
  for (let at = 0; at < bytes.length; at += NOTIFICATION_BYTES) numbers.add(bytes.readUInt32LE(at));
  return numbers.has(LOOK_AT_ALL) ? [] : [...numbers];
}
