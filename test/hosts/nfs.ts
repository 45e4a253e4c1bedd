/**
 * Two hosts that are two kernels (User-Mode Linux), each with the kernel's own NFSv4.1 client; an nfs-ganesha outside serves both.
 *
 * A bridge in the test's network namespace joins each of them to the server and keeps them from each other: there is no network between the two.
 */
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { isListening, until } from './gluster';
import { type Stand } from './host';
import { UmlHost } from './uml-host';

const SERVER = '10.99.0.1';
const PORT = 2049;
const UML_MODULES = '/usr/lib/uml/modules';

/** The lease of the file server outlasts the cases that stop it: what it forgets is not what they test. */
const ganeshaConfig = (directory: string): string => `NFS_CORE_PARAM {
  Protocols = 4; Bind_addr = ${SERVER}; NFS_Port = ${PORT}; Enable_NLM = false; Enable_RQUOTA = false; Enable_UDP = None;
}
NFSv4 {
  Graceless = true; Lease_Lifetime = 60; Grace_Period = 1; Delegations = false; RecoveryBackend = fs; RecoveryRoot = ${directory}/recovery;
  Minor_Versions = 1,2; Only_Numeric_Owners = true;
}
NFS_KRB5 { Active_krb5 = false; }
EXPORT {
  Export_Id = 1; Path = ${directory}/export; Pseudo = /x; Access_Type = RW; Squash = No_Root_Squash; Protocols = 4; Transports = TCP; SecType = sys;
  FSAL { Name = VFS; }
}
`;

function run(command: string, ...args: string[]): void {
  const { status, stderr, error } = spawnSync(command, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${error?.message ?? stderr.trim()}`);
}

/** Offloads leave frames without checksums, or larger than a guest takes. */
function withoutOffloads(device: string): void {
  spawnSync('ethtool', ['-K', device, 'tso', 'off', 'gso', 'off', 'gro', 'off', 'tx', 'off', 'sg', 'off']);
}

/** A bridge on which the ports of the guests are isolated: each sees the server and no other. */
function makeNetwork(guests: readonly string[]): void {
  run('ip', 'link', 'add', 'br0', 'type', 'bridge');
  run('ip', 'link', 'set', 'br0', 'up');
  run('ip', 'addr', 'add', `${SERVER}/24`, 'dev', 'br0');
  for (const name of guests) {
    run('ip', 'link', 'add', `u${name}`, 'type', 'veth', 'peer', 'name', `w${name}`);
    run('ip', 'link', 'set', `w${name}`, 'master', 'br0', 'up');
    run('ip', 'link', 'set', `u${name}`, 'up', 'promisc', 'on');
    run('bridge', 'link', 'set', 'dev', `w${name}`, 'isolated', 'on');
    for (const device of [`u${name}`, `w${name}`, 'br0']) withoutOffloads(device);
  }
}

/** Starts the file server and both kernels; all their files are under `directory`. */
export async function nfsStand(directory: string): Promise<Stand> {
  const at = (...names: string[]): string => path.join(directory, ...names);
  for (const name of ['export', 'recovery', 'modules/lib']) fs.mkdirSync(at(name), { recursive: true });
  fs.symlinkSync(UML_MODULES, at('modules', 'lib', 'modules'));
  fs.writeFileSync(at('ganesha.conf'), ganeshaConfig(directory));
  makeNetwork(['A', 'B']);
  const server = spawn('ganesha.nfsd', ['-F', '-f', at('ganesha.conf'), '-L', at('ganesha.log'), '-p', at('ganesha.pid')], { stdio: 'ignore' });
  server.once('error', () => undefined);
  const guest = (name: string, address: string): UmlHost => new UmlHost({ name, directory, interface: `u${name}`, address, serverAddress: SERVER, modules: at('modules') });
  const hosts = [guest('A', '10.99.0.11'), guest('B', '10.99.0.12')] as const;
  const close = async (): Promise<void> => {
    server.kill('SIGCONT');
    await Promise.all(hosts.map((host) => host.crash()));
    server.kill('SIGKILL');
    for (const device of ['uA', 'uB', 'br0']) spawnSync('ip', ['link', 'del', device]);
  };
  try {
    await until(() => isListening(PORT), 'the file server does not listen');
    await Promise.all(hosts.map((host) => host.boot()));
  } catch (error) {
    await close();
    throw error;
  }
  return {
    title: 'two kernels on NFSv4.1',
    directory: at('export'),
    hosts: [...hosts],
    stopServer: () => { server.kill('SIGSTOP'); },
    continueServer: () => { server.kill('SIGCONT'); },
    close,
  };
}
