/**
 * Two kernels, each with the kernel's own NFSv4.1 client; an nfs-ganesha outside serves both.
 *
 * Each of them has a network of its own, in which the loopback of the test's network namespace is one address: there is
 * no way from one to the other.
 */
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { appears, isListening } from './gluster';
import { type Stand } from './host';
import { SHARED } from './qemu-host';
import { makeShared, qemuStand } from './qemu-stand';

/** Addresses that the emulator gives: of a guest, and of this machine's loopback to it. */
const GUEST = '10.0.2.15';
const SERVER = '10.0.2.2';
const PORT = 2049;

/** The lease of the file server outlasts the cases that stop it: what it forgets is not what they test. */
const ganeshaConfig = (directory: string, shared: string): string => `NFS_CORE_PARAM {
  Protocols = 4; NFS_Port = ${PORT}; Enable_NLM = false; Enable_RQUOTA = false; Enable_UDP = None;
}
NFSv4 {
  Graceless = true; Lease_Lifetime = 60; Grace_Period = 1; Delegations = false;
  RecoveryBackend = fs; RecoveryRoot = ${directory}/recovery;
  Minor_Versions = 1,2; Only_Numeric_Owners = true;
}
NFS_KRB5 { Active_krb5 = false; }
EXPORT {
  Export_Id = 1; Path = ${shared}; Pseudo = /x; Access_Type = RW; Squash = No_Root_Squash;
  Protocols = 4; Transports = TCP; SecType = sys;
  FSAL { Name = VFS; }
}
`;

const MOUNT = `ip addr add ${GUEST}/24 dev eth0; ip link set eth0 up
mount -i -t nfs4 -o vers=4.1,addr=${SERVER},clientaddr=${GUEST},hard ${SERVER}:/x ${SHARED}`;
const DEVICE = ['-netdev', 'user,id=net,ipv6=off', '-device', 'virtio-net-pci,netdev=net,romfile='];

/** Starts the file server and both kernels; all their files are under `directory`. */
export async function nfsStand(directory: string): Promise<Stand> {
  const at = (name: string): string => path.join(directory, name);
  const shared = makeShared(directory);
  fs.mkdirSync(at('recovery'));
  fs.writeFileSync(at('ganesha.conf'), ganeshaConfig(directory, shared));
  const files = ['-f', at('ganesha.conf'), '-L', at('ganesha.log'), '-p', at('ganesha.pid')];
  const server = spawn('ganesha.nfsd', ['-F', ...files], { stdio: 'ignore' });
  server.once('error', () => undefined);
  if (!(await appears(() => isListening(PORT)))) {
    server.kill('SIGKILL');
    const log = fs.existsSync(at('ganesha.log')) ? fs.readFileSync(at('ganesha.log'), 'utf8') : 'it has written no log';
    throw new Error(`the file server does not listen:\n${log}`);
  }
  return qemuStand(directory, {
    name: 'nfs',
    title: 'two kernels on NFSv4.1',
    shared,
    pageCache: true,
    waitsInKernel: false,
    guest: () => ({ device: () => Promise.resolve(DEVICE), mount: MOUNT, mountType: 'nfs4' }),
    signalServers: (name) => {
      server.kill(name);
    },
  });
}
