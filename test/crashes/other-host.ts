/**
 * A preload for tests: this process runs under a kernel of its own, as far as it can tell, and every directory lies on a network file system. STP_TEST_HOST
 * names the host.
 */
import fs from 'node:fs';

const NFS_TYPE = 0x6969;
const host = process.env['STP_TEST_HOST'];
if (host === undefined) throw new Error('STP_TEST_HOST is not set');

const { readFileSync, statfsSync } = fs;
const patched = fs as unknown as Record<string, unknown>;
patched['readFileSync'] = (path: fs.PathOrFileDescriptor, options: BufferEncoding): unknown =>
  path === '/proc/sys/kernel/random/boot_id' ? `boot-of-${host}\n` : readFileSync(path, options);
patched['statfsSync'] = (path: fs.PathLike): unknown => Object.assign(statfsSync(path), { type: NFS_TYPE });
