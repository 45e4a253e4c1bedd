/**
 * A preload for tests: this process runs under a kernel of its own, as far as it can tell, and every directory lies on
 * a network file system. STP_TEST_HOST names the host.
 */
import fs from 'node:fs';

const MOUNTS = '1 1 0:1 / / rw - nfs4 server:/ rw\n';
const host = process.env['STP_TEST_HOST'];
if (host === undefined) throw new Error('STP_TEST_HOST is not set');

const { readFileSync } = fs;
const told = new Map<unknown, string>([
  ['/proc/sys/kernel/random/boot_id', `boot-of-${host}\n`],
  ['/proc/self/mountinfo', MOUNTS],
]);
const patched = fs as unknown as Record<string, unknown>;
patched['readFileSync'] = (path: fs.PathOrFileDescriptor, options: BufferEncoding): unknown =>
  told.get(path) ?? readFileSync(path, options);
