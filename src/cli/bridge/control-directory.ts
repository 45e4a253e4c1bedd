/**
 * Where the control sockets of bridges are: `stp-bridge-UID` in XDG_RUNTIME_DIR, else in the temp directory, one socket
 * `PID.sock` for each bridge; or where --control says.
 *
 * Invariant: no socket is made or used in a directory in which another user could have put it, as what stands there
 * would be believed.
 */
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { CliFailure, ExitCode } from '../failure';

const OTHERS = 0o077;
const OTHERS_WRITE = 0o022;
const PRIVATE = 0o700;
const SOCKET_NAME = /^(\d+)\.sock$/u;
/** Longest path of a Unix socket on Linux, without the byte that ends it. */
const PATH_MAX_BYTES = 107;

/**
 * Directories in which bridges of this user may have their sockets; the first one is where a new bridge makes its own.
 */
export function controlDirectories(env: NodeJS.ProcessEnv): string[] {
  const name = `stp-bridge-${userId()}`;
  const runtime = env['XDG_RUNTIME_DIR'] ?? '';
  const roots = [...(path.isAbsolute(runtime) && fs.existsSync(runtime) ? [runtime] : []), os.tmpdir()];
  return [...new Set(roots.map((root) => path.join(root, name)))];
}

/** Makes the directory where it is not there; throws where it is not this user's alone. */
export function makeControlDirectory(directory: string): void {
  try {
    fs.mkdirSync(directory, { mode: PRIVATE });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST')
      throw new CliFailure(`control directory ${directory}: ${(error as Error).message}`);
  }
  checkPrivate(directory);
}

/** Throws where another user may have put something there. A link is not followed: another user may have made it. */
export function checkPrivate(directory: string): void {
  const facts = fs.lstatSync(directory);
  const wrong = (why: string): CliFailure =>
    new CliFailure(`control directory ${directory}: ${why}`, ExitCode.failed, 'Look who made it; then remove it.');
  if (!facts.isDirectory()) throw wrong('is no directory');
  if (facts.uid !== userId()) throw wrong(`belongs to user ${facts.uid}`);
  if ((facts.mode & OTHERS) !== 0) throw wrong(`other users may use it (mode ${modeText(facts.mode)})`);
}

/** The same for the directory of a path that the user has named: others may read it. */
export function checkControlPath(socket: string): void {
  const wrong = (why: string): CliFailure => new CliFailure(`--control ${socket}: ${why}`, ExitCode.usage);
  if (Buffer.byteLength(socket) > PATH_MAX_BYTES || socket === '')
    throw wrong(`the path of a socket has 1 to ${PATH_MAX_BYTES} bytes`);
  let directory: string;
  try {
    directory = fs.realpathSync(path.dirname(path.resolve(socket)));
  } catch (error) {
    throw wrong((error as Error).message);
  }
  const { uid, mode } = fs.statSync(directory);
  if (uid !== userId() && uid !== 0) throw wrong(`${directory} belongs to user ${uid}`);
  if ((mode & OTHERS_WRITE) !== 0)
    throw wrong(`other users may put files into ${directory} (mode ${modeText(mode)}); choose one of yours alone`);
  const facts = fs.lstatSync(socket, { throwIfNoEntry: false });
  if (facts !== undefined && !facts.isSocket()) throw wrong('there is a file which is no socket');
}

export interface ControlSocket {
  readonly pid: number;
  readonly path: string;
}

/** The sockets of bridges that live; those of dead ones are removed. */
export async function liveSockets(directories: readonly string[]): Promise<ControlSocket[]> {
  const found: ControlSocket[] = [];
  for (const directory of directories) {
    if (!fs.existsSync(directory)) continue;
    checkPrivate(directory);
    for (const name of fs.readdirSync(directory)) {
      const pid = SOCKET_NAME.exec(name)?.[1];
      const socket = path.join(directory, name);
      if (pid === undefined) continue;
      if (await isDead(socket)) fs.rmSync(socket, { force: true });
      else found.push({ pid: Number(pid), path: socket });
    }
  }
  return found;
}

/** True where no process listens at the socket any more. */
export function isDead(socket: string): Promise<boolean> {
  return new Promise((resolve) => {
    const connection = net.connect({ path: socket });
    connection.once('connect', () => {
      connection.destroy();
      resolve(false);
    });
    connection.once('error', ({ code }: NodeJS.ErrnoException) => {
      resolve(code === 'ECONNREFUSED');
    });
  });
}

/** Other systems than Windows have user ids. */
export function userId(): number {
  return process.getuid?.() ?? -1;
}

function modeText(mode: number): string {
  return (mode & 0o7777).toString(8).padStart(4, '0');
}
