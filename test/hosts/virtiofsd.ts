/** The server of a virtiofs device: it offers a directory of this machine to one guest, and ends with it. */
import { type ChildProcess, spawn } from 'node:child_process';
import fs from 'node:fs';
import { until } from './gluster';

export const VIRTIOFSD = '/usr/lib/qemu/virtiofsd';

export interface VirtiofsOptions {
  /** The directory that it offers. */
  readonly source: string;
  /** Where the machine emulator connects; the log lies beside it. */
  readonly socket: string;
  /** What the guest keeps of it: `always` everything for ever, `auto` names and attributes for a second. */
  readonly cache: 'auto' | 'always';
}

/** Starts it; resolves when its socket is there. */
export async function startVirtiofsd({ source, socket, cache }: VirtiofsOptions): Promise<ChildProcess> {
  fs.rmSync(socket, { force: true });
  const log = fs.openSync(`${socket}.log`, 'a');
  // A namespace of its own for the server has no use here: all that runs is in the test's.
  const options = `source=${source},sandbox=chroot,cache=${cache},allow_direct_io,xattr`;
  const server = spawn(VIRTIOFSD, [`--socket-path=${socket}`, '-o', options], { stdio: ['ignore', log, log] });
  fs.closeSync(log);
  server.once('error', () => undefined);
  const began = `${VIRTIOFSD} does not offer ${source}`;
  await until(() => fs.existsSync(socket) || server.exitCode !== null, began);
  if (server.exitCode !== null) throw new Error(`${began}: ${fs.readFileSync(`${socket}.log`, 'utf8').trim()}`);
  return server;
}

/** Arguments of the emulator for a device that such a server is behind. */
export function virtiofsDevice(tag: string, socket: string): string[] {
  return ['-chardev', `socket,id=${tag},path=${socket}`, '-device', `vhost-user-fs-pci,chardev=${tag},tag=${tag}`];
}
