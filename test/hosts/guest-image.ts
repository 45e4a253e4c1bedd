/**
 * What a guest kernel starts with: busybox and modules. It makes the machine's own tree its root, read-only, with
 * memory for what is written, and goes on there with a script.
 */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';

/** Tag of the virtiofs device with the machine's tree. */
export const ROOT_TAG = 'root';
/** Parameter of the kernel that names the script. */
export const SCRIPT_PARAMETER = 'stp_script';
const BUSYBOX = '/bin/busybox';

const INIT = `#!/bin/busybox sh
/bin/busybox --install -s /bin
mkdir -p /proc /sys /dev /host /over /new
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
while read -r m; do insmod "/modules/$m" || echo "no module $m"; done </order
mount -t virtiofs -o ro ${ROOT_TAG} /host || echo "the machine's tree can not be mounted"
mount -t tmpfs tmpfs /over; mkdir /over/upper /over/work
mount -t overlay -o lowerdir=/host,upperdir=/over/upper,workdir=/over/work overlay /new
script=$(sed 's/.*${SCRIPT_PARAMETER}=\\([^ ]*\\).*/\\1/' /proc/cmdline)
for d in proc sys dev; do mount --move /$d /new/$d; done
exec switch_root /new /bin/bash "$script"
`;

/** Writes the image to `directory`; its file. */
export function writeGuestImage(directory: string, modules: readonly string[]): string {
  const tree = path.join(directory, 'image');
  for (const name of ['bin', 'modules']) fs.mkdirSync(path.join(tree, name), { recursive: true });
  fs.copyFileSync(BUSYBOX, path.join(tree, 'bin', 'busybox'));
  for (const module of modules) fs.copyFileSync(module, path.join(tree, 'modules', path.basename(module)));
  fs.writeFileSync(path.join(tree, 'order'), modules.map((module) => `${path.basename(module)}\n`).join(''));
  fs.writeFileSync(path.join(tree, 'init'), INIT, { mode: 0o755 });
  const image = path.join(directory, 'image.cpio');
  const { status, error, stderr } = spawnSync('sh', ['-c', `find . | cpio -o -H newc >'${image}'`], {
    cwd: tree,
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`cpio: ${error?.message ?? stderr.trim()}`);
  return image;
}
