/** Numbers that are used only once: ids of regions and of lives of processes. */
import { randomBytes } from 'node:crypto';

/** A random integer of 48 bits, never 0. */
export function randomId(): number {
  for (;;) {
    const id = randomBytes(6).readUIntLE(0, 6);
    if (id !== 0) return id;
  }
}
