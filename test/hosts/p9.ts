/**
 * Two kernels with a 9p of one directory. Its server is the emulator, and beside it a helper that does the calls:
 * without that, nothing stands still alone.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { until } from './gluster';
import { type Stand } from './host';
import { SHARED } from './qemu-host';
import { makeShared, qemuStand } from './qemu-stand';

export const P9_HELPER = '/usr/lib/qemu/virtfs-proxy-helper';
const TAG = 'shared';
const MOUNT = `mount -t 9p -o trans=virtio,version=9p2000.L,cache=none,msize=262144 ${TAG} ${SHARED}`;

/** Starts both kernels; all their files are under `directory`. */
export function p9Stand(directory: string): Promise<Stand> {
  const shared = makeShared(directory);
  const helpers = new Map<string, ChildProcess>();
  const device = async (name: string): Promise<string[]> => {
    const socket = path.join(directory, `${name}.shared`);
    fs.rmSync(socket, { force: true });
    const helper = spawn(P9_HELPER, ['--path', shared, '--socket', socket, '--uid', '0', '--gid', '0', '--nodaemon'], {
      stdio: 'ignore',
    });
    helper.once('error', () => undefined);
    helpers.set(name, helper);
    await until(() => fs.existsSync(socket), `${P9_HELPER} does not offer ${shared}`);
    return ['-fsdev', `proxy,id=${TAG},socket=${socket}`, '-device', `virtio-9p-pci,fsdev=${TAG},mount_tag=${TAG}`];
  };
  return qemuStand(directory, {
    name: 'p9',
    title: 'two kernels on 9p',
    shared,
    pageCache: false,
    waitsInKernel: true,
    guest: (name) => ({ device: () => device(name), mount: MOUNT, mountType: '9p' }),
    signalServers: (name) => {
      for (const helper of helpers.values()) helper.kill(name);
    },
  });
}
