/**
 * STP_TRACE=1: every call with its arguments and result on standard error, as strace prints system calls. Off, it costs
 * nothing: the calls are exported as they are.
 */
import { writeSync } from 'node:fs';
import { StpError } from '../errors';
import { environment } from '../host';
import * as constants from './constants';
import { shown } from './check';
import { type StpAddressInput } from './types';

/** True where the environment asks for a trace. ESTPCONFIG for a value that is neither 0 nor 1. */
export function traceWanted(env: Readonly<Record<string, string | undefined>>): boolean {
  const value = env['STP_TRACE'];
  if (value === undefined || value === '' || value === '0') return false;
  if (value === '1') return true;
  throw new StpError('ESTPCONFIG', `STP_TRACE must be 0 or 1, not ${shown(value)}`);
}

const STDERR = 2;
const wanted = traceWanted(environment());

function print(line: string): void {
  try {
    writeSync(STDERR, `${line}\n`);
  } catch {
    // Standard error may be closed or full: the program goes on.
  }
}

/** A line of comment in the trace: what was decided, and why. */
export function traceComment(text: string): void {
  if (wanted) print(`# ${text}`);
}

/** The STPrecv that a watcher's `received` stands for. */
export function traceReceived(s: number, bytes: Uint8Array): void {
  print(`STPrecv(${s}, <${bytes.length} bytes>, ${bytes.length}, MSG_DONTWAIT) = ${bytes.length}`);
}

/** Whether anything is traced: for callers that would have to make up a comment first. */
export const tracing = wanted;

const FLAG_NAMES: readonly [number, string][] = [
  [constants.MSG_PEEK, 'MSG_PEEK'],
  [constants.MSG_DONTWAIT, 'MSG_DONTWAIT'],
  [constants.MSG_MORE, 'MSG_MORE'],
];

function isAddress(value: object): value is StpAddressInput {
  return 'port' in value;
}

function argument(call: string, at: number, value: unknown): string {
  if (value instanceof Uint8Array) return `<${value.length} bytes>`;
  if (typeof value === 'object' && value !== null) {
    if (!isAddress(value)) return '{...}';
    const { system, port, group, ip } = value;
    const query = ip === undefined ? '' : `?ip=${ip}`;
    return `stp://${system ?? ''}:${port ?? ''}/${group ?? ''}${query}`;
  }
  if (typeof value === 'number') {
    if (call === 'STPsocket') return at === 1 ? 'SOCK_STREAM' : value === constants.PF_STP ? 'PF_STP' : String(value);
    if (at === 3 && (call === 'STPsend' || call === 'STPrecv')) return flagNames(value);
    if (at === 1 && call === 'STPaccept') return flagNames(value);
    if (call.endsWith('sockopt') && at === 1) return value === constants.SOL_SOCKET ? 'SOL_SOCKET' : String(value);
    if ((call.endsWith('sockopt') && at === 2) || (/^STP[gs]etopt$/u.test(call) && at === 1))
      return optionName(call, value);
  }
  if (typeof value === 'string' && call === 'STPtakesocket') return '"<token>"';
  return shown(value);
}

function optionName(call: string, value: number): string {
  const prefix = call.endsWith('sockopt') ? /^(?:SO|TCP)_/u : /^STP_/u;
  for (const [key, known] of Object.entries(constants)) if (known === value && prefix.test(key)) return key;
  return String(value);
}

function flagNames(value: number): string {
  const names = FLAG_NAMES.filter(([bit]) => (value & bit) !== 0).map(([, name]) => name);
  return names.length === 0 ? '0' : names.join('|');
}

function result(call: string, value: unknown): string {
  if (call === 'STPgivesocket') return '"<token>"';
  if (typeof value === 'object' && value !== null) return isAddress(value) ? argument(call, 0, value) : '{...}';
  return shown(value);
}

function failure(error: unknown): string {
  return error instanceof StpError ? `-1 ${error.code} (${error.message})` : `-1 ${String(error)}`;
}

/** The call itself, or one that prints: a waiting call is printed when it is complete. */
export function traced<T extends (...args: never[]) => unknown>(call: string, fn: T): T {
  if (!wanted) return fn;
  const wrapper = (...args: never[]): unknown => {
    const head = `${call}(${args.map((value, at) => argument(call, at, value)).join(', ')})`;
    try {
      const value = fn(...args);
      if (!(value instanceof Promise)) {
        print(`${head} = ${result(call, value)}`);
        return value;
      }
      value.then(
        (settled: unknown) => {
          print(`${head} = ${result(call, settled)}`);
        },
        (error: unknown) => {
          print(`${head} = ${failure(error)}`);
        },
      );
      return value;
    } catch (error) {
      print(`${head} = ${failure(error)}`);
      throw error;
    }
  };
  return wrapper as T;
}
