/**
 * Two hosts that are two GlusterFS clients of one volume, in one kernel: each mount has a page cache and FIFOs of its
 * own.
 *
 * One brick, no cache in its clients; all of it is plain files in a temporary directory, on loopback of a network
 * namespace of the test.
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { FULL_LOAD } from '../soak/place';
import { LocalHost, type Stand } from './host';

const PORT = 24_999;
const READY_MS = 20_000;

const brickVolume = (directory: string): string => `volume posix
 type storage/posix
 option directory ${directory}
end-volume
volume locks
 type features/locks
 subvolumes posix
end-volume
volume threads
 type performance/io-threads
 subvolumes locks
end-volume
volume server
 type protocol/server
 option transport-type tcp
 option transport.socket.bind-address 127.0.0.1
 option transport.socket.listen-port ${PORT}
 option auth.addr.threads.allow *
 subvolumes threads
end-volume
`;

const CLIENT_VOLUME = `volume client
 type protocol/client
 option transport-type tcp
 option remote-host 127.0.0.1
 option remote-port ${PORT}
 option remote-subvolume threads
 option filter-O_DIRECT off
end-volume
`;

/** Mounts the volume twice under `directory`. */
export async function glusterStand(directory: string): Promise<Stand> {
  const at = (...names: string[]): string => path.join(directory, ...names);
  for (const name of ['brick', 'A', 'B']) fs.mkdirSync(at(name), { recursive: true });
  fs.writeFileSync(at('brick.vol'), brickVolume(at('brick')));
  fs.writeFileSync(at('client.vol'), CLIENT_VOLUME);
  const children: ChildProcess[] = [];
  const start = (command: string, args: readonly string[]): ChildProcess => {
    const child = spawn(command, args, { stdio: 'ignore' });
    child.once('error', () => undefined);
    children.push(child);
    return child;
  };
  const server = start('glusterfsd', ['-N', '-f', at('brick.vol'), '-l', at('brick.log')]);
  // A client that finds no server mounts all the same, and answers nothing.
  await until(() => isListening(PORT), 'the brick does not listen');
  for (const name of ['A', 'B']) {
    start('glusterfs', [
      '-N',
      '-f',
      at('client.vol'),
      '-l',
      at(`${name}.log`),
      '--attribute-timeout=0',
      '--entry-timeout=0',
      at(name),
    ]);
  }
  await until(() => ['A', 'B'].every((name) => isMounted(at(name))), 'the volume is not mounted');
  const written = at('A', '.ready');
  await until(
    () =>
      attempt(() => {
        fs.writeFileSync(written, '');
      }) && fs.readdirSync(at('B')).includes('.ready'),
    "the mounts do not show each other's files",
  );
  return {
    title: 'two GlusterFS clients',
    directory: at('A'),
    pageCache: true,
    leaseMs: 5000,
    waitsInKernel: false,
    clockMs: 1,
    soakLoad: FULL_LOAD,
    hosts: [new LocalHost('A', at('A')), new LocalHost('B', at('B'))],
    stopServer: () => {
      server.kill('SIGSTOP');
    },
    continueServer: () => {
      server.kill('SIGCONT');
    },
    close: () => {
      for (const name of ['A', 'B']) spawnSync('umount', ['-l', at(name)], { stdio: 'ignore' });
      for (const child of children) child.kill('SIGKILL');
      return Promise.resolve();
    },
  };
}

/** True where the kernel of this network namespace has a TCP listener at the port. */
export function isListening(port: number): boolean {
  const wanted = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const lines = ['tcp', 'tcp6']
    .flatMap((table) => fs.readFileSync(`/proc/net/${table}`, 'utf8').split('\n'))
    .map((line) => line.trim().split(/\s+/u));
  return lines.some((fields) => fields[1]?.endsWith(wanted) === true && fields[3] === '0A');
}

function isMounted(directory: string): boolean {
  let mounted = false;
  // A client that is just connecting, or trying again to, has no answer yet.
  attempt(() => {
    mounted = fs.statSync(directory).dev !== fs.statSync(path.dirname(directory)).dev;
  });
  return mounted;
}

function attempt(act: () => void): boolean {
  try {
    act();
    return true;
  } catch {
    return false;
  }
}

/** Waits for something that another program brings about; fails with `otherwise` where it does not come. */
export async function until(holds: () => boolean, otherwise: string): Promise<void> {
  if (!(await appears(holds))) throw new Error(`${otherwise} after ${READY_MS / 1000} s`);
}

/** The same, but false where it does not come. */
export async function appears(holds: () => boolean): Promise<boolean> {
  for (const began = performance.now(); !holds();) {
    if (performance.now() - began > READY_MS) return false;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return true;
}
