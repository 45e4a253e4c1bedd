/**
 * Whether files of a directory can be mapped as rings need it, tried with one: what is stored into one mapping is read
 * by another, by another descriptor, and by a plain read, and the other way round.
 *
 * It tells of one kernel only. That no other host sees the directory can't be measured from here: that is for the type
 * of the file system to say.
 */
import { StpError } from '../errors';
import { BLOCK_BYTES } from '../layout';
import { PRIVATE } from './access';
import { removeFile } from './files';
import { loadNative, type Mapping, type Native } from './native';
import { PlainFile } from './positioned-file';
import { temporaryName } from './temporary';

const BUFFERED = { direct: false, access: PRIVATE };
const STORED = 0x5354_5001;
const WRITTEN = 0x5354_5002;

/** Why a file can't be mapped just now, though it could at another time: memory or mappings have run out. */
const PASSES: ReadonlySet<string> = new Set(['ENOBUFS', 'EMFILE']);

/**
 * Undefined where it can't be tried: no koffi, or a file fails there. The error where memory or mappings have run out.
 * Never throws.
 */
export function mappingWorks(directory: string): boolean | StpError | undefined {
  const native = loadNative();
  if (native === undefined) return undefined;
  const place = temporaryName(directory);
  const files: PlainFile[] = [];
  try {
    const file = PlainFile.create(place, BUFFERED);
    if (file === undefined) return undefined;
    files.push(file);
    file.writeAt(Buffer.alloc(BLOCK_BYTES), 0, BLOCK_BYTES, 0);
    const again = PlainFile.open(place, BUFFERED);
    if (again === undefined) return undefined;
    files.push(again);
    return isCoherent(native, file, again);
  } catch {
    return undefined;
  } finally {
    for (const file of files) file.close();
    if (files.length > 0) tryToRemove(place);
  }
}

/** Throws where a file fails. */
function isCoherent(native: Native, file: PlainFile, again: PlainFile): boolean | StpError {
  const one = mapOrNot(native, file, true);
  const other = mapOrNot(native, again, false);
  try {
    if (!isMapping(one)) return one;
    if (!isMapping(other)) return other;
    const words = new Int32Array(other.buffer);
    Atomics.store(new Int32Array(one.buffer), 0, STORED);
    const block = Buffer.alloc(BLOCK_BYTES);
    again.readAt(block, 0, BLOCK_BYTES, 0);
    if (Atomics.load(words, 0) !== STORED || block.readInt32LE(0) !== STORED) return false;
    block.writeInt32LE(WRITTEN, 4);
    file.writeAt(block, 0, BLOCK_BYTES, 0);
    return Atomics.load(words, 1) === WRITTEN;
  } finally {
    for (const mapping of [one, other]) if (isMapping(mapping)) mapping.release();
  }
}

/** What is not a mapping is what mappingWorks is to tell. */
function mapOrNot(native: Native, file: PlainFile, writable: boolean): Mapping | StpError | false {
  try {
    return native.map(file.fd, BLOCK_BYTES, writable);
  } catch (error) {
    return error instanceof StpError && PASSES.has(error.code) ? error : false;
  }
}

function isMapping(made: Mapping | StpError | false): made is Mapping {
  return made !== false && !(made instanceof StpError);
}

function tryToRemove(place: string): void {
  try {
    removeFile(place);
  } catch {
    // Recovery takes it away when it is old.
  }
}
