/**
 * Two hosts that are two kernels, and what lies between them: common to all kinds of shared directories that virtual
 * machines have.
 */
import fs from 'node:fs';
import path from 'node:path';
import { fetchGuestKernel, type GuestStand } from './guest-kernel';
import { writeGuestImage } from './guest-image';
import { type Stand } from './host';
import { type SoakLoad } from '../soak/place';
import { QemuHost, type QemuOptions } from './qemu-host';

/** What lies between the two. */
export interface Storage {
  readonly name: GuestStand;
  readonly title: string;
  /** The shared directory as this machine sees it. */
  readonly shared: string;
  readonly pageCache: boolean;
  readonly waitsInKernel: boolean;
  /** How a guest comes to it. */
  guest(name: string): Pick<QemuOptions, 'device' | 'mount' | 'mountType'>;
  /** Stops the file servers that were started for it, lets them go on, or ends them. */
  readonly signalServers: (name: 'SIGSTOP' | 'SIGCONT' | 'SIGKILL') => void;
}

/**
 * Twice the default, milliseconds. An emulated host on a busy machine gets no processor for seconds now and then, and
 * what takes a real one 60 ms, to start the thread that beats, takes it more than one second.
 */
const LEASE_MS = 10_000;

/** A guest has its time from a clock of whole seconds, once, and what emulates it may stand still for a while. */
const CLOCK_MS = 2000;

/** An emulated processor starts a process in seconds, and moves 2 MB/s or so through all of its connections. */
const LOAD: SoakLoad = { processes: 4, connections: 2, bytesMax: 100_000 };

/** Starts both kernels; their files are under `directory`. */
export async function qemuStand(directory: string, storage: Storage): Promise<Stand> {
  const kernel = fetchGuestKernel();
  const image = writeGuestImage(directory, kernel.modules(storage.name));
  const host = (name: string): QemuHost =>
    new QemuHost({ name, directory, kernel: kernel.image, image, ...storage.guest(name) });
  const hosts = [host('A'), host('B')] as const;
  const close = async (): Promise<void> => {
    storage.signalServers('SIGCONT');
    await Promise.all(hosts.map((one) => one.crash()));
    storage.signalServers('SIGKILL');
  };
  try {
    await Promise.all(hosts.map((one) => one.boot()));
  } catch (error) {
    await close();
    throw error;
  }
  return {
    title: storage.title,
    directory: storage.shared,
    pageCache: storage.pageCache,
    waitsInKernel: storage.waitsInKernel,
    leaseMs: LEASE_MS,
    clockMs: CLOCK_MS,
    soakLoad: LOAD,
    hosts,
    stopServer: () => {
      storage.signalServers('SIGSTOP');
    },
    continueServer: () => {
      storage.signalServers('SIGCONT');
    },
    close,
  };
}

/** Makes the directory that is shared. */
export function makeShared(directory: string): string {
  const shared = path.join(directory, 'shared');
  fs.mkdirSync(shared);
  return shared;
}
