/** What file operations throw, as errors that name the call and the file, with codes of the closed set of ../errors. */
import os from 'node:os';
import { StpError, toStpError, type ErrorCode } from '../errors';
import { io } from './file-calls';

/** Codes of the system that have another name among ours. */
const RENAMED: Readonly<Record<string, ErrorCode>> = {
  EPERM: 'EACCES',
  // Node's permission model.
  ERR_ACCESS_DENIED: 'EACCES',
  ENFILE: 'EMFILE',
  ENOMEM: 'ENOBUFS',
  EFBIG: 'ENOSPC',
  ELOOP: 'ESTPCORRUPT',
  ENOTDIR: 'ESTPCORRUPT',
  EISDIR: 'ESTPCORRUPT',
  ENXIO: 'ESTPCORRUPT',
};

/** Codes that Node does not name, so that a caller does not find them in the error. */
const NAMELESS: Readonly<Record<string, ErrorCode>> = { EDQUOT: 'EDQUOT' };

/**
 * The code of what a file operation threw; undefined where it has none. @note Node 20-26: EDQUOT and ESTALE have no
 * name there, only a number.
 */
export function codeOf(error: unknown): string | undefined {
  const { code, errno } = error instanceof Error ? (error as { code?: unknown; errno?: unknown }) : {};
  if (typeof code !== 'string') return undefined;
  return /^unknown/iu.test(code) && typeof errno === 'number' ? (nameOf(-errno) ?? code) : code;
}

function nameOf(errno: number): string | undefined {
  return Object.entries(os.constants.errno).find(([, value]) => value === errno)?.[0];
}

/** What a file operation threw, as StpError that names the call and the file. */
export function fileError(error: unknown, call: string, path: string): StpError {
  if (error instanceof StpError) return error;
  const code = codeOf(error);
  const renamed = RENAMED[code ?? ''] ?? NAMELESS[code ?? ''];
  const text = error instanceof Error ? error.message : String(error);
  const detail = text.includes(path) ? text : `${path}: ${text}`;
  return renamed === undefined
    ? toStpError(error, call, detail)
    : new StpError(renamed, detail, call, { cause: error });
}

/** Closes a descriptor; what the file system reports at this point is of no use to the caller. */
export function closeQuietly(fd: number): void {
  try {
    io.closeSync(fd);
  } catch {
    // The descriptor is released even where close reports an error.
  }
}
