/** Two kernels with a 9p of one directory: the emulators themselves serve it. */
import { type Stand } from './host';
import { SHARED } from './qemu-host';
import { makeShared, qemuStand } from './qemu-stand';

const TAG = 'shared';
const MOUNT = `mount -t 9p -o trans=virtio,version=9p2000.L,cache=none,msize=262144 ${TAG} ${SHARED}`;

/** Starts both kernels; all their files are under `directory`. */
export function p9Stand(directory: string): Promise<Stand> {
  const shared = makeShared(directory);
  const device = ['-virtfs', `local,path=${shared},mount_tag=${TAG},security_model=none,multidevs=remap`];
  return qemuStand(directory, {
    name: 'p9',
    title: 'two kernels on 9p',
    shared,
    pageCache: false,
    guest: () => ({ device: () => Promise.resolve(device), mount: MOUNT, mountType: '9p' }),
  });
}
