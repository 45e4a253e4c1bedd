/**
 * Numbers and errors as Node's net has them: handles return negative errno, and net.js makes its own errors of those.
 */
import util from 'node:util';
import { StpError } from '../../src/index';
import { type ErrnoName, status } from './status';

/** Codes of the call library that a TCP socket never sees: for net.js they become the nearest one that it knows. */
const IN_TCP: Readonly<Record<string, ErrnoName>> = {
  EHOSTUNREACH: 'ECONNREFUSED',
  ESTPCONFIG: 'EINVAL',
  ESTPCORRUPT: 'EIO',
  ESTPDRIVER: 'EIO',
  ESTPGIVEN: 'EPIPE',
  ESTPREGION: 'EIO',
  ESTPVERSION: 'EIO',
};

/** Codes by which the file system refuses the region: net.js's error of such a code names neither the file nor why. */
const OF_FILES: ReadonlySet<string> = new Set(['EACCES', 'EDQUOT', 'EIO', 'ENOSPC', 'EROFS']);

/** An error whose cause net.js's own can't tell: sockets and servers tell it by their `stp` property. */
export function regionError(error: unknown): StpError | undefined {
  if (!(error instanceof StpError)) return undefined;
  return error.code.startsWith('ESTP') || OF_FILES.has(error.code) ? error : undefined;
}

/** What an STP call threw, as a negative errno. Others than StpErrors are bugs and pass through. */
export function statusOf(error: unknown): number {
  if (!(error instanceof StpError)) throw error;
  return status(IN_TCP[error.code] ?? (error.code as ErrnoName));
}

/** `read ECONNRESET`, as net.js makes it of a negative errno. */
export function errnoException(value: number, syscall: string): NodeJS.ErrnoException {
  const code = util.getSystemErrorName(value);
  const error: NodeJS.ErrnoException = new Error(`${syscall} ${code}`);
  Error.captureStackTrace(error, errnoException);
  return Object.assign(error, { errno: value, code, syscall });
}

/** An error of Node's own, of its class and in its looks: `TypeError [ERR_X]: text`. */
export function codedError(code: string, text: string, Class: ErrorConstructor = Error): NodeJS.ErrnoException {
  const error: NodeJS.ErrnoException = new Class(text);
  const { name } = error;
  error.code = code;
  error.name = `${name} [${code}]`;
  // The stack takes the name that the error has when it is captured.
  Error.captureStackTrace(error, codedError);
  Object.defineProperty(error, 'name', { value: name, writable: true, configurable: true, enumerable: false });
  return error;
}

/** What getaddrinfo says of a name that has no address. */
export function unknownHostError(hostname: string): NodeJS.ErrnoException {
  const ENOTFOUND = -3008;
  const error = new Error(`getaddrinfo ENOTFOUND ${hostname}`);
  return Object.assign(error, { errno: ENOTFOUND, code: 'ENOTFOUND', syscall: 'getaddrinfo', hostname });
}
