/** Reads the socket control blocks of another process, dead or alive. */
import { PROCESS_BLOCKS, Scb, SCBS_PER_BLOCK } from '../layout';
import { type Storage } from '../storage';
import { processPath } from './process-info';
import { type ScbValues } from './socket-table';

/**
 * Control blocks by index: each block of the file is read once, when it is asked for. Undefined: there is no such file.
 */
export function readSockets(storage: Storage, process: number): ((index: number) => ScbValues | undefined) | undefined {
  const blocks = new Map<number, Uint8Array | undefined>();
  if (storage.info(processPath(process)) === undefined) return undefined;
  return (index) => {
    const at = Math.floor(index / SCBS_PER_BLOCK);
    if (!blocks.has(at)) blocks.set(at, readBlock(storage, process, at));
    const payload = blocks.get(at);
    const from = (index % SCBS_PER_BLOCK) * Scb.sizeBytes;
    return payload === undefined || from + Scb.sizeBytes > payload.length ? undefined : Scb.decode(payload, from);
  };
}

/** Undefined also where it can't be read: it is not worth more than a guess then. */
function readBlock(storage: Storage, process: number, at: number): Uint8Array | undefined {
  try {
    const reader = storage.openBlocks(processPath(process));
    if (reader === undefined) return undefined;
    try {
      const payload = reader.read(PROCESS_BLOCKS.sockets + at)?.payload;
      return payload === undefined ? undefined : Uint8Array.from(payload);
    } finally {
      reader.close();
    }
  } catch {
    return undefined;
  }
}
