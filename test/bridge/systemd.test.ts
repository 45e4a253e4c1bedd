/** A bridge as a service: what it tells the service manager, and the sockets that it is handed. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { createInterface } from 'node:readline';
import t, { type Test } from 'tap';
import { freshRegion } from '../calls/actor';
import { STP } from '../cli/stp-process';
import { BridgeProcess, connectTcp, controlEnvironment } from './kit';

const has = (program: string): boolean => spawnSync('sh', ['-c', `command -v ${program}`]).status === 0;
const needs = (program: string): string | false => (has(program) ? false : `needs ${program}`);

const onLinux = process.platform === 'linux' ? false : 'needs systemd';

/** A socket of datagrams: resolves with all messages once so many of them fit. */
async function receiver(t: Test, socket: string): Promise<(fits: RegExp, count?: number) => Promise<string[]>> {
  const program = `
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(${socket.startsWith('@') ? `"\\0${socket.slice(1)}"` : JSON.stringify(socket)})
print("bound", flush=True)
while True: print(repr(s.recv(4096).decode()), flush=True)`;
  const child = spawn('python3', ['-c', program], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.teardown(() => child.kill('SIGKILL'));
  const lines = createInterface(child.stdout);
  const said: string[] = [];
  await once(lines, 'line');
  lines.on('line', (line) => said.push(line));
  return async (fits, count = 1) => {
    while (said.filter((line) => fits.test(line)).length < count) await once(lines, 'line');
    return said;
  };
}

for (const kind of ['path', 'abstract', 'without koffi'] as const)
  void t.test(
    `systemd is told of ready, reload and end (${kind})`,
    { skip: onLinux || needs('python3') || (kind === 'without koffi' && needs('systemd-notify')) },
    async (t) => {
      const { directory, env } = controlEnvironment(t);
      const socket = kind === 'abstract' ? `@stp-test-${process.pid}` : path.join(directory, 'notify');
      const until = await receiver(t, socket);
      const file = path.join(directory, 'bridge.conf');
      fs.writeFileSync(file, '-D 0\n');
      const preload = path.join(__dirname, '..', 'storage', 'no-koffi.js');
      const bridge = new BridgeProcess(t, freshRegion(t), ['--config', file], {
        ...env,
        NOTIFY_SOCKET: socket,
        WATCHDOG_USEC: '200000',
        ...(kind === 'without koffi' ? { NODE_OPTIONS: `--require ${preload}` } : {}),
      });
      await bridge.ports(1);
      await until(/READY=1/u);
      await until(/WATCHDOG=1/u);
      bridge.child.kill('SIGHUP');
      const said = await until(/RELOADING=1\\nMONOTONIC_USEC=\d+/u);
      await until(/'READY=1/u, 2);
      bridge.child.kill('SIGTERM');
      await until(/STOPPING=1/u);
      t.same(await bridge.ended(), [0, null]);
      // systemd-notify asks for more than is told.
      const ignored = kind === 'without koffi' ? /^(?:WATCHDOG|BARRIER)=1$/u : /^WATCHDOG=1$/u;
      t.same(
        said.map((line) => line.replaceAll(/'|\\n.*/gu, '')).filter((line) => !ignored.test(line)),
        ['READY=1', 'RELOADING=1', 'READY=1', 'STOPPING=1'],
      );
    },
  );

void t.test(
  'a service manager that can not be told is one warning, and the bridge runs',
  { skip: onLinux },
  async (t) => {
    const { directory, env } = controlEnvironment(t);
    const bridge = new BridgeProcess(t, freshRegion(t), ['-D', '0'], {
      ...env,
      NOTIFY_SOCKET: path.join(directory, 'none'),
      WATCHDOG_USEC: '20000',
    });
    const [port = 0] = await bridge.ports(1);
    t.match(await bridge.tells(({ event }) => event === 'warning'), {
      error: /none: the service manager can't be told: ENOENT/u,
    });
    await connectTcp(t, port);
    bridge.child.kill('SIGTERM');
    await bridge.ended();
    t.equal(bridge.told.filter(({ event }) => event === 'warning').length, 1);
  },
);

/** A listener of this process that the child has as descriptor 3. */
async function listener(t: Test, at: { port: number; host: string } | { path: string }): Promise<net.Server> {
  const server = net.createServer().listen(at);
  await once(server, 'listening');
  t.teardown(() => server.close());
  return server;
}

/** Starts a bridge with these listeners as descriptors from 3 on, as sd_listen_fds(3) has it. */
function startWith(servers: readonly net.Server[], args: readonly string[], env: NodeJS.ProcessEnv): ChildProcess {
  const handles = servers.map((server) => (server as unknown as { _handle: { fd: number } })._handle.fd);
  return spawn(
    'sh',
    ['-c', `LISTEN_PID=$$ LISTEN_FDS=${servers.length} exec "$@"`, 'sh', process.execPath, STP, 'bridge', ...args],
    { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe', ...handles] },
  );
}

async function firstLine(child: ChildProcess): Promise<string> {
  const { stdout, stderr } = child;
  if (stdout === null || stderr === null) throw new Error('no pipes');
  const lines = [stdout, stderr].map((input) => once(createInterface(input), 'line'));
  const [line] = (await Promise.race(lines)) as [string];
  return line;
}

void t.test('an inherited socket serves the forward that has its address', { skip: onLinux }, async (t) => {
  const { directory, env } = controlEnvironment(t);
  const socketPath = path.join(directory, 'in.sock');
  const servers = [
    await listener(t, { port: 0, host: '127.0.0.1' }),
    await listener(t, { port: 0, host: '::1' }),
    await listener(t, { path: socketPath }),
  ];
  const [four, six] = servers.map((server) => server.address() as net.AddressInfo);
  const [port4, port6] = [four?.port ?? 0, six?.port ?? 0];
  const args = ['--json', '-D', `[::1]:${port6}`, '-D', String(port4), '-D', socketPath];
  const child = startWith(servers, args, { ...env, STP_REGION: freshRegion(t) });
  t.teardown(() => child.kill('SIGKILL'));
  let told = '';
  if (child.stdout === null) throw new Error('no pipe');
  for await (const chunk of child.stdout) {
    told += String(chunk);
    if (told.split('listening').length > servers.length) break;
  }
  // From now on this process accepts none of them. The name of the socket is kept from the close, which removes it.
  fs.renameSync(socketPath, `${socketPath}.kept`);
  for (const server of servers) server.close();
  fs.renameSync(`${socketPath}.kept`, socketPath);
  for (const at of [{ port: port4, host: '127.0.0.1' }, { port: port6, host: '::1' }, { path: socketPath }]) {
    const client = net.connect(at).on('error', () => undefined);
    t.teardown(() => client.destroy());
    client.write(Buffer.from([5, 1, 0]));
    const [answer] = (await once(client, 'data')) as [Buffer];
    t.same(answer, Buffer.from([5, 0]), JSON.stringify(at));
  }
});

void t.test(
  'an inherited socket that no forward wants is named, and so is what is none',
  { skip: onLinux },
  async (t) => {
    const { env } = controlEnvironment(t);
    const server = await listener(t, { port: 0, host: '127.0.0.1' });
    const { port } = server.address() as net.AddressInfo;
    const all = { ...env, STP_REGION: freshRegion(t) };
    const child = startWith([server], ['--json', '-H', '0'], all);
    const lines: string[] = [];
    child.stderr?.on('data', (chunk: Buffer) => lines.push(chunk.toString()));
    const [status] = (await once(child, 'close')) as [number];
    t.equal(status, 2);
    t.match(
      lines.join(''),
      new RegExp(`inherited socket 3 listens at 127\\.0\\.0\\.1:${port}, and no forward does`, 'u'),
    );
    const none = spawn(
      'sh',
      ['-c', 'LISTEN_PID=$$ LISTEN_FDS=1 exec "$@" 3</dev/null', 'sh', process.execPath, STP, 'bridge', '-D', '0'],
      { env: { ...process.env, ...all } },
    );
    t.match(await firstLine(none), /descriptor 3 is no TCP or Unix socket that listens/u);
    t.same((await once(none, 'close'))[0], 2);
  },
);

void t.test(
  'systemd-socket-activate starts a bridge at the first connection',
  { skip: onLinux || needs('systemd-socket-activate') },
  async (t) => {
    const { directory, env } = controlEnvironment(t);
    const socketPath = path.join(directory, 'in.sock');
    const region = freshRegion(t);
    const pass = Object.entries({ ...env, STP_REGION: region }).map(([name, value]) => `--setenv=${name}=${value}`);
    const child = spawn(
      'systemd-socket-activate',
      ['-l', socketPath, ...pass, process.execPath, STP, 'bridge', '-D', socketPath],
      { stdio: ['ignore', 'pipe', 'pipe'] },
    );
    t.teardown(() => child.kill('SIGKILL'));
    // It says that it listens.
    await once(child.stderr, 'data');
    const client = net.connect(socketPath).on('error', () => undefined);
    t.teardown(() => client.destroy());
    client.write(Buffer.from([5, 1, 0]));
    const [answer] = (await once(client, 'data')) as [Buffer];
    t.same(answer, Buffer.from([5, 0]));
  },
);
