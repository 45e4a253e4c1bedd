/**
 * Errors as Node's net gives them for TCP: same code, errno, syscall, address, port and shape of message, so that programs can't tell.
 *
 * Failures that TCP does not have (a full region, say) keep their own code in the same shape; `cause` is the error of the STP call.
 */
import os from 'node:os';
import util from 'node:util';
import { StpError } from '../src/index';

export interface NodeError extends Error {
  errno?: number;
  code?: string;
  syscall?: string;
  address?: string;
  port?: number;
  localAddress?: string;
  localPort?: number;
  hostname?: string;
}

export interface Failure {
  readonly code: string;
  readonly errno: number;
  readonly cause?: unknown;
}

const SAME_IN_TCP = new Set(['ECONNREFUSED', 'ECONNRESET', 'ECONNABORTED', 'EPIPE', 'ETIMEDOUT', 'EADDRINUSE', 'EADDRNOTAVAIL', 'EISCONN', 'EMFILE']);

/** What an STP call threw, as code and number. Others than StpErrors are bugs and pass through. */
export function failureOf(error: unknown): Failure {
  if (!(error instanceof StpError)) throw error;
  // A region that has lost the system a client was told of: TCP has no listener there either.
  const code = error.code === 'EHOSTUNREACH' ? 'ECONNREFUSED' : error.code;
  const { errno } = code === error.code ? error : failure(code);
  return SAME_IN_TCP.has(code) ? { code, errno } : { code, errno, cause: error };
}

/** A failure by the name of its code. */
export function failure(code: string): Failure {
  return { code, errno: -((os.constants.errno as Record<string, number>)[code] ?? os.constants.errno.EIO) };
}

function detailOf({ cause }: Failure): string {
  return cause instanceof Error ? ` (${cause.message})` : '';
}

function build(message: string, fields: Omit<NodeError, 'name' | 'message'>, cause: unknown): NodeError {
  const error: NodeError = cause === undefined ? new Error(message) : new Error(message, { cause });
  return Object.assign(error, fields);
}

/** `read ECONNRESET` */
export function errnoError(why: Failure, syscall: string): NodeError {
  return build(`${syscall} ${why.code}${detailOf(why)}`, { errno: why.errno, code: why.code, syscall }, why.cause);
}

/** `connect ECONNREFUSED 127.0.0.1:3000 - Local (127.0.0.1:40000)` */
export function hostPortError(why: Failure, syscall: string, address: string, port: number, local?: { address: string; port: number }): NodeError {
  const place = port > 0 ? ` ${address}:${port}` : ` ${address}`;
  const from = local === undefined ? '' : ` - Local (${local.address}:${local.port})`;
  const fields: NodeError = { errno: why.errno, code: why.code, syscall, address } as NodeError;
  if (port > 0) fields.port = port;
  if (local !== undefined) Object.assign(fields, { localAddress: local.address, localPort: local.port });
  return build(`${syscall} ${why.code}${place}${from}${detailOf(why)}`, fields, why.cause);
}

/** The error of a connect that has failed at several addresses. */
export function attemptsError(errors: readonly NodeError[]): NodeError {
  const error = new AggregateError(errors) as NodeError;
  const code = errors[0]?.code;
  if (code !== undefined) error.code = code;
  // As of an error of Node's own, which has its code behind its name, and a message, be it empty.
  Error.captureStackTrace(error, attemptsError);
  error.stack = (error.stack ?? '').replace(/^AggregateError/u, `AggregateError [${code}]: `);
  return error;
}

/** `listen EADDRINUSE: address already in use :::3000` */
export function listenError(why: Failure, address: string | null, port: number): NodeError {
  const text = util.getSystemErrorMap().get(why.errno)?.[1] ?? 'failed';
  const place = address === null ? '' : port > 0 ? ` ${address}:${port}` : ` ${address}`;
  const fields = { code: why.code, errno: why.errno, syscall: 'listen', ...(address === null ? {} : { address }), ...(port > 0 ? { port } : {}) };
  return build(`listen ${why.code}: ${text}${place}${detailOf(why)}`, fields, why.cause);
}

/** What getaddrinfo says of a name that nobody knows. */
export function unknownHostError(hostname: string): NodeError {
  const ENOTFOUND = -3008;
  return build(`getaddrinfo ENOTFOUND ${hostname}`, { errno: ENOTFOUND, code: 'ENOTFOUND', syscall: 'getaddrinfo', hostname }, undefined);
}

/** An error of Node's own, of its class and in its looks: `TypeError [ERR_X]: text`. */
export function codedError(code: string, text: string, Class: ErrorConstructor = Error): NodeError {
  const error: NodeError = new Class(text);
  const { name } = error;
  error.code = code;
  error.name = `${name} [${code}]`;
  // The stack takes the name that the error has when it is captured.
  Error.captureStackTrace(error, codedError);
  Object.defineProperty(error, 'name', { value: name, writable: true, configurable: true, enumerable: false });
  return error;
}
