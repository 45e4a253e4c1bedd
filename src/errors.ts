/**
 * Every error that stp-net raises: its stable code, its number and its text, declared once.
 *
 * The docs page (docs/errors.md) is generated from this table. POSIX names keep the system's own errno, so that code
 * written for TCP sockets can compare them; codes that begin with ESTP have no POSIX counterpart.
 */
import os from 'node:os';

interface ErrorEntry {
  readonly text: string;
  readonly doc: string;
}

export const ERRORS = {
  EACCES: {
    text: 'permission denied',
    doc: 'The token was not given to this client, or a file of the region may not be used.',
  },
  EADDRINUSE: {
    text: 'address already in use',
    doc: 'Another live socket of this system and group is bound to the port.',
  },
  EADDRNOTAVAIL: { text: 'address not available', doc: 'The address is not one of this system, or no port is free.' },
  EAFNOSUPPORT: { text: 'address family not supported', doc: 'The family is not AF_STP.' },
  EAGAIN: { text: 'resource temporarily unavailable', doc: 'The call would have to wait.' },
  EALREADY: { text: 'operation already in progress', doc: 'A connect or a close of this socket is under way.' },
  EBADF: {
    text: 'bad file descriptor',
    doc: 'The descriptor is not an open STP socket of this process, or the token names none.',
  },
  EBUSY: { text: 'resource busy', doc: 'Live processes use the region.' },
  ECONNABORTED: { text: 'connection aborted', doc: 'The socket was closed while the call waited.' },
  ECONNREFUSED: { text: 'connection refused', doc: 'No live socket listens at the address.' },
  ECONNRESET: { text: 'connection reset by peer', doc: 'The peer reset the connection, or its process died.' },
  EDESTADDRREQ: { text: 'destination address required', doc: 'An address is needed and none was given.' },
  EDQUOT: { text: 'disk quota exceeded', doc: 'The quota of the file system that holds the region is used up.' },
  EFAULT: {
    text: 'bad address in system call argument',
    doc: 'The message is not a buffer, or the length runs past its end.',
  },
  EHOSTUNREACH: { text: 'host is unreachable', doc: 'The region knows no system of that name.' },
  EINVAL: {
    text: 'invalid argument',
    doc: 'An argument has a wrong type, range or combination; the message names it.',
  },
  EIO: { text: 'i/o error', doc: 'The file system failed to read or write a file of the region.' },
  EISCONN: { text: 'socket is already connected', doc: 'The socket is connected and the call wants one that is not.' },
  EMFILE: { text: 'too many open sockets', doc: 'The process holds as many sockets as the region allows one process.' },
  ENOBUFS: { text: 'no buffer space available', doc: 'The backlog of requests to a peer is full.' },
  ENOENT: { text: 'no such file or directory', doc: 'The region, or the host that was asked for, does not exist.' },
  ENOPROTOOPT: { text: 'protocol not available', doc: 'There is no such option at this level.' },
  ENOSPC: { text: 'no space left on device', doc: 'The file system that holds the region is full.' },
  ENOTCONN: { text: 'socket is not connected', doc: 'The socket has no peer and the call wants one.' },
  EOPNOTSUPP: { text: 'operation not supported on socket', doc: 'The call does not fit the state of the socket.' },
  EPIPE: { text: 'broken pipe', doc: 'The outgoing direction of the socket is shut down, or its peer is gone.' },
  EPROTONOSUPPORT: { text: 'protocol not supported', doc: 'The protocol is not PF_STP.' },
  EPROTOTYPE: { text: 'protocol wrong type for socket', doc: 'The type is not SOCK_STREAM.' },
  EROFS: { text: 'read-only file system', doc: 'The region lies on a file system that can not be written.' },
  ETIMEDOUT: { text: 'connection timed out', doc: 'The time allowed for a connect, a close or a give ran out.' },
  ESTPCONFIG: {
    text: 'invalid configuration',
    doc: 'An environment variable, a flag or a start option is wrong; the message names it.',
  },
  ESTPCORRUPT: {
    text: 'region damaged',
    doc: 'Bytes read from the region break its format; only the socket, link or process concerned is dropped.',
  },
  ESTPDRIVER: {
    text: 'driver not available',
    doc: 'The driver that was asked for can not be used here; the message says why.',
  },
  ESTPGIVEN: { text: 'socket was given away', doc: 'After STPgivesocket only STPclose is allowed on a socket.' },
  ESTPREGION: { text: 'not a usable region', doc: 'The path is not a directory, or what lies in it is not a region.' },
  ESTPVERSION: { text: 'region has another format version', doc: 'The region was made by another version of stp-net.' },
} as const satisfies Record<string, ErrorEntry>;

export type ErrorCode = keyof typeof ERRORS;

/** Numbers of the codes without a POSIX counterpart: above every errno in use. */
const STP_ERRNO_BASE = 4200;

const STP_CODES = (Object.keys(ERRORS) as ErrorCode[]).filter((code) => code.startsWith('ESTP'));

/** The (positive) number of a code: the system's errno, or 4200 and up for STP's own. */
export function errnoOf(code: ErrorCode): number {
  const own = STP_CODES.indexOf(code);
  if (own >= 0) return STP_ERRNO_BASE + own;
  return (os.constants.errno as Record<string, number>)[code] ?? os.constants.errno.EIO;
}

/** True where `value` is one of the codes of {@link ERRORS}. */
export function isErrorCode(value: unknown): value is ErrorCode {
  return typeof value === 'string' && Object.hasOwn(ERRORS, value);
}

/** An error of stp-net. `errno` is negative as in Node; `syscall` is the STP call or file operation that failed. */
export class StpError extends Error {
  override readonly name = 'StpError';
  readonly code: ErrorCode;
  readonly errno: number;
  readonly syscall: string | undefined;
  /** What the message says in its parentheses. */
  readonly detail: string | undefined;

  constructor(code: ErrorCode, detail?: string, syscall?: string, options?: ErrorOptions) {
    const prefix = syscall === undefined ? code : `${syscall} ${code}`;
    super(`${prefix}: ${ERRORS[code].text}${detail === undefined ? '' : ` (${detail})`}`, options);
    this.code = code;
    this.errno = -errnoOf(code);
    this.syscall = syscall;
    this.detail = detail;
  }
}

/**
 * Turns whatever a file operation threw into an StpError that keeps its code where we know it (ENOSPC, EMFILE, ...).
 */
export function toStpError(error: unknown, syscall: string, detail?: string): StpError {
  if (error instanceof StpError) return error;
  const system = error as NodeJS.ErrnoException;
  const code: ErrorCode = isErrorCode(system.code) ? system.code : 'EIO';
  const why = detail ?? (error instanceof Error ? error.message : String(error));
  return new StpError(code, why, syscall, { cause: error });
}
