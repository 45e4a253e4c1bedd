/**
 * Two kernels with a virtiofs of one directory: each has a server of its own, as virtual machines have that share a
 * directory of their host.
 */
import { type ChildProcess } from 'node:child_process';
import path from 'node:path';
import { type Stand } from './host';
import { SHARED } from './qemu-host';
import { makeShared, qemuStand } from './qemu-stand';
import { startVirtiofsd, virtiofsDevice } from './virtiofsd';

const TAG = 'shared';

/** Starts both kernels; all their files are under `directory`. */
export function virtiofsStand(directory: string): Promise<Stand> {
  const shared = makeShared(directory);
  const servers = new Map<string, ChildProcess>();
  const device = async (name: string): Promise<string[]> => {
    const socket = path.join(directory, `${name}.shared`);
    servers.set(name, await startVirtiofsd({ source: shared, socket, cache: 'auto' }));
    return virtiofsDevice(TAG, socket);
  };
  return qemuStand(directory, {
    name: 'virtiofs',
    title: 'two kernels on virtiofs',
    shared,
    pageCache: true,
    waitsInKernel: false,
    guest: (name) => ({
      device: () => device(name),
      mount: `mount -t virtiofs ${TAG} ${SHARED}`,
      mountType: 'virtiofs',
    }),
    signalServers: (name) => {
      for (const server of servers.values()) server.kill(name);
    },
  });
}
