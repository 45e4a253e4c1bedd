/** What file operations throw, as errors that name the call and the file, with codes of the closed set of ../errors. */
import { StpError, toStpError, type ErrorCode } from '../errors';
import { io } from './file-calls';

/** Codes of the system that have another name among ours. */
const RENAMED: Readonly<Record<string, ErrorCode>> = {
  EPERM: 'EACCES',
  ENFILE: 'EMFILE',
  ENOMEM: 'ENOBUFS',
  EFBIG: 'ENOSPC',
  ELOOP: 'ESTPCORRUPT',
  ENOTDIR: 'ESTPCORRUPT',
  EISDIR: 'ESTPCORRUPT',
  ENXIO: 'ESTPCORRUPT',
};

/** The code of what a file operation threw; undefined where it has none. */
export function codeOf(error: unknown): string | undefined {
  const code: unknown = error instanceof Error && 'code' in error ? error.code : undefined;
  return typeof code === 'string' ? code : undefined;
}

/** What a file operation threw, as StpError that names the call and the file. */
export function fileError(error: unknown, call: string, path: string): StpError {
  if (error instanceof StpError) return error;
  const renamed = RENAMED[codeOf(error) ?? ''];
  const text = error instanceof Error ? error.message : String(error);
  const detail = text.includes(path) ? text : `${path}: ${text}`;
  return renamed === undefined ? toStpError(error, call, detail) : new StpError(renamed, detail, call, { cause: error });
}

/** Closes a descriptor; what the file system has to say at this point helps nobody. */
export function closeQuietly(fd: number): void {
  try {
    io.closeSync(fd);
  } catch {
    // The descriptor is released even where close reports an error.
  }
}
