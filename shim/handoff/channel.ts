/**
 * The hook's part of `child.send(message, socket)`: what goes through an IPC channel is looked at, and only sockets and
 * servers of STP are taken out of Node's hands. See send.ts for what happens to them.
 *
 * @note Node 20 to 26: `send` is put on each object that has a channel when the channel is made; there is no prototype
 * to patch. `process` has its channel before any preload runs, a ChildProcess gets it in `spawn`. A handle of ours that
 * reaches Node's own `send` ends the process.
 */
import net from 'node:net';
import { loadedTranslator, loadTranslator } from '../lazy';

/** A process at the other end of an IPC channel: a ChildProcess, or `process` in one. */
export interface ChannelTarget extends NodeJS.EventEmitter {
  send?: (...args: unknown[]) => boolean;
  disconnect?: () => void;
  connected?: boolean;
  channel?: unknown;
}

/**
 * What a message about a socket or server of STP has as `cmd`. @note Node 20 to 26: 'NODE_' makes it an
 * 'internalMessage', which programs don't see.
 */
export const SOCKET_COMMAND = 'NODE_STP_SOCKET';
export const SERVER_COMMAND = 'NODE_STP_SERVER';

/** Before the first STP socket of this process there is nothing of STP that could be sent. */
function mayBeStp(handle: unknown): boolean {
  return (
    (handle instanceof net.Socket || handle instanceof net.Server) && loadedTranslator()?.goesByStp(handle) === true
  );
}

/** Watches the channel of `target`, if it has one. */
export function watchChannel(target: ChannelTarget): void {
  const { send } = target;
  if (typeof send !== 'function') return;
  target.send = function (...args) {
    return mayBeStp(args[1]) || isBusy(this)
      ? loadTranslator().sendThrough(this, send, args)
      : Reflect.apply(send, this, args);
  };
  Object.defineProperty(target.send, 'name', { value: send.name, configurable: true });
  Object.defineProperty(target.send, 'length', { value: send.length, configurable: true });
  target.on('internalMessage', (message: unknown) => {
    const command = typeof message === 'object' && message !== null ? (message as { cmd?: unknown }).cmd : undefined;
    if (command === SOCKET_COMMAND || command === SERVER_COMMAND)
      loadTranslator().receiveFrom(target, message as Record<string, unknown>);
  });
}

const busy = new WeakSet<ChannelTarget>();

/** Messages wait behind a socket that is being given: none may overtake it. */
function isBusy(target: ChannelTarget): boolean {
  return busy.has(target);
}

/** Whether messages to `target` have to wait from now on. */
export function setBusy(target: ChannelTarget, waits: boolean): void {
  if (waits) busy.add(target);
  else busy.delete(target);
}
