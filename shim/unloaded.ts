/**
 * What is left to do where the translator itself can't be loaded, because the program has no descriptor or no memory left: in `auto` it goes by TCP, as
 * without a region that can be used; where STP may be asked for, the socket or server gets the error. The next one tries again.
 *
 * Loaded with the hook, and needs no file of its own later.
 */
import type net from 'node:net';
import { type Configuration } from './configuration';
import { loadTranslator } from './lazy';
import type * as Translator from './translator';

type Method = (this: unknown, ...args: unknown[]) => unknown;

const SCARCE: readonly string[] = ['EMFILE', 'ENFILE', 'ENOMEM'];

/** The translator, or why there is none just now. Throws what will not pass. */
export function translatorNow(): typeof Translator | NodeJS.ErrnoException {
  try {
    return loadTranslator();
  } catch (error) {
    if (error instanceof Error && SCARCE.includes((error as NodeJS.ErrnoException).code ?? '')) return error;
    throw error;
  }
}

/** Hosts and ports are for the translator to read: where any rule asks for STP, this may be it. */
function mayBeStp({ mode, rules }: Configuration): boolean {
  return mode === 'stp' || rules.some(({ action }) => action === 'stp');
}

/** As the error of a system call that failed for the same reason. */
function errorOf({ code = '', errno, message }: NodeJS.ErrnoException, syscall: string): Error {
  return Object.assign(new Error(`${syscall} ${code}: ${message}`), { code, errno, syscall });
}

/** As note(), which needs the call library. */
function tell(target: object, reason: 'REGION_UNUSABLE' | 'MODE_STP', error: Error): void {
  const value = Object.freeze({ transport: reason === 'MODE_STP' ? 'stp' : 'tcp', reason, error });
  Object.defineProperty(target, 'stp', { value, configurable: true, writable: true });
}

function byTcp(target: object, native: Method, args: readonly unknown[], error: Error): unknown {
  tell(target, 'REGION_UNUSABLE', error);
  return Reflect.apply(native, target, args);
}

export function connectUnloaded(settings: Configuration, native: Method, socket: net.Socket, args: readonly unknown[], why: NodeJS.ErrnoException): unknown {
  const error = errorOf(why, 'connect');
  if (!mayBeStp(settings)) return byTcp(socket, native, args, error);
  if (settings.mode === 'stp') tell(socket, 'MODE_STP', error);
  (socket as { connecting: boolean }).connecting = true;
  process.nextTick(() => { socket.destroy(error); });
  return socket;
}

export function listenUnloaded(settings: Configuration, native: Method, server: net.Server, args: readonly unknown[], why: NodeJS.ErrnoException): unknown {
  const error = errorOf(why, 'listen');
  if (!mayBeStp(settings)) return byTcp(server, native, args, error);
  if (settings.mode === 'stp') tell(server, 'MODE_STP', error);
  process.nextTick(() => { server.emit('error', error); });
  return server;
}
