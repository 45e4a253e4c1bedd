/**
 * A socket of STP as a standard stream of a child, as inetd does it: the child gets a pipe, and this process carries
 * the bytes between the two.
 *
 * With TCP the child has the connection itself. So what it has written arrives also where this process destroys the
 * socket as soon as the child has ended, which is why a destroy waits for the pipe. What can not be had is a child that
 * goes on by itself when this process ends, and the `Sync` calls of node:child_process, in which nothing is carried:
 * those refuse the socket.
 */
import type { ChildProcess } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import net from 'node:net';
import { streamOf } from '../handle/stream';
import { isObject } from '../node/internals';

type Spawn = (this: ChildProcess, options: SpawnOptions) => unknown;

interface SpawnOptions {
  readonly stdio?: unknown;
}

/** What of a child there is for each of its descriptors. */
interface Standard {
  stdin: Writable | null;
  stdout: Readable | null;
  stderr: Readable | null;
  readonly stdio: (net.Socket | null)[];
}

const FIRST_BEYOND_STANDARD = 3;
const NAMES = ['stdin', 'stdout', 'stderr'] as const;

const isOurs = (entry: unknown): entry is net.Socket => entry instanceof net.Socket && streamOf(entry) !== undefined;

/** Whether a child is to have a socket of STP among its streams. */
export function hasSocketStdio(options: unknown): options is SpawnOptions & { readonly stdio: readonly unknown[] } {
  return isObject(options) && Array.isArray(options['stdio']) && options['stdio'].some(isOurs);
}

/** Node's own spawn, with pipes in place of the sockets. */
export function spawnWithSockets(
  child: ChildProcess,
  native: Spawn,
  options: SpawnOptions & { readonly stdio: readonly unknown[] },
): unknown {
  const sockets = options.stdio.map((entry) => (isOurs(entry) ? entry : undefined));
  const stdio = options.stdio.map((entry) => (isOurs(entry) ? 'pipe' : entry));
  const result = native.call(child, { ...options, stdio });
  const fed = new Set<net.Socket>();
  sockets.forEach((socket, at) => {
    const pipe = socket === undefined ? null : takePipe(child as unknown as Standard, at);
    if (socket === undefined || pipe === null) return;
    pipe.on('error', () => undefined);
    if ((at === 0 || at >= FIRST_BEYOND_STANDARD) && !fed.has(socket)) {
      fed.add(socket);
      feed(child, socket, pipe);
    }
    if (at > 0) drain(socket, pipe);
  });
  return result;
}

/** The pipe to a descriptor of the child; as with TCP, the program sees none. */
function takePipe(child: Standard, at: number): net.Socket | null {
  const pipe = child.stdio[at] ?? null;
  child.stdio[at] = null;
  const name = NAMES[at];
  if (name !== undefined) child[name] = null;
  return pipe;
}

/** What comes from the connection goes to the child, until that has ended. */
function feed(child: ChildProcess, socket: net.Socket, pipe: net.Socket): void {
  // The child may answer after the end of what it reads.
  socket.allowHalfOpen = true;
  socket.pipe(pipe);
  child.once('exit', () => {
    socket.unpipe(pipe);
    // A pipe beyond the standard three goes both ways, and what the child has written is still to come.
    pipe.end();
  });
}

/** Pipes that are still to carry something to a socket, and whether it was destroyed meanwhile. */
interface Draining {
  pipes: number;
  destroyed: boolean;
}

const draining = new WeakMap<net.Socket, Draining>();

/** What the child writes goes to the connection, which a destroy in between does not cut short. */
function drain(socket: net.Socket, pipe: net.Socket): void {
  const state = draining.get(socket) ?? holdDestroy(socket);
  state.pipes += 1;
  pipe.on('data', (bytes: Buffer) => {
    if (!socket.writable || socket.write(bytes)) return;
    pipe.pause();
    socket.once('drain', () => pipe.resume());
  });
  pipe.once('close', () => {
    state.pipes -= 1;
    if (state.pipes > 0) return;
    draining.delete(socket);
    Reflect.deleteProperty(socket, 'destroy');
    // After all that was written.
    if (state.destroyed) socket.destroySoon();
  });
  socket.once('close', () => {
    pipe.destroy();
  });
}

/** From now on a destroy without an error waits. */
function holdDestroy(socket: net.Socket): Draining {
  const state: Draining = { pipes: 0, destroyed: false };
  draining.set(socket, state);
  const native = socket.destroy.bind(socket);
  socket.destroy = (error?: Error) => {
    if (error !== undefined) return native(error);
    state.destroyed = true;
    return socket;
  };
  return state;
}
