/** What the hook does to a process that it is loaded in: nothing but what it says. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { environment, node, PACKAGE, REGISTER, scratch } from './kit';

/**
 * The test runner lays a spawn of its own over that of every process under it, so that the portrait can't show ours.
 */
const OF_NET = [
  'net.Socket.prototype.connect',
  'net.Socket.prototype._writeGeneric',
  'net.Socket.prototype.resetAndDestroy',
  'net.Socket.prototype.stpGive',
  'net.Socket.prototype.stp',
  'net.Server.prototype.stp',
  'net.Server.prototype.listen',
  'net._createServerHandle',
];
const PATCHED = [
  ...OF_NET,
  ...['connect', 'connect6', 'bind', 'bind6', 'listen'].map((name) => `TCP.prototype.${name}`),
  'child_process.ChildProcess.prototype.spawn',
];

/**
 * What a process looks like, told by itself: own globals, listeners, environment, and every function of net and tls.
 */
const PORTRAIT = `
  const visited = new Set();
  const look = (object, name, into, depth = 0) => {
    if (visited.has(object)) return into;
    visited.add(object);
    for (const key of Reflect.ownKeys(object)) {
      if (key === 'constructor') continue;
      const { value, get, set, enumerable, writable, configurable } = Object.getOwnPropertyDescriptor(object, key);
      const attributes = [enumerable, writable, configurable].join();
      const id = name + '.' + String(key);
      const sources = () => [source(value ?? get), set && source(set)];
      if (typeof value === 'function' || get)
        into[id] = [value?.name, value?.length, attributes, ...sources()].join(' ');
      else into[id] = attributes;
      if (typeof value === 'function' && depth === 0 && value.prototype)
        look(value.prototype, id + '.prototype', into, depth + 1);
    }
    return into;
  };
  const source = (fn) => Function.prototype.toString.call(fn);
  module.exports = () => ({
    globals: Reflect.ownKeys(globalThis).map(String),
    environment: Object.keys(process.env).sort(),
    process: process.eventNames().map((name) => [String(name), process.listenerCount(name)]),
    exit: process._exiting,
    modules: { ...look(require('node:net'), 'net', {}), ...look(require('node:tls'), 'tls', {}) },
    functions: {
      ...look(require('node:dns'), 'dns', {}),
      ...look(require('node:fs'), 'fs', {}),
      ...look(process, 'process', {}),
      ...look(require('node:http'), 'http', {}),
    },
  });
`;

interface Portrait {
  readonly modules: Record<string, string>;
  readonly functions: Record<string, string>;
  readonly [part: string]: unknown;
}

async function portrait(directory: string, hooked: boolean, env: Record<string, string>): Promise<Portrait> {
  const file = path.join(directory, 'portrait.cjs');
  fs.writeFileSync(file, PORTRAIT);
  const program = `process.stdout.write(JSON.stringify(require(${JSON.stringify(file)})()))`;
  const { code, stdout, stderr } = await node([...(hooked ? ['--require', REGISTER] : []), '-e', program], env);
  if (code !== 0) throw new Error(stderr);
  return JSON.parse(stdout) as Portrait;
}

const differences = (one: Record<string, string>, other: Record<string, string>): string[] =>
  [...new Set([...Object.keys(one), ...Object.keys(other)])].filter((key) => one[key] !== other[key]).sort();

void t.test('a process with the hook differs from one without by the patched functions alone', async (t) => {
  const { directory, region, remove } = scratch();
  t.teardown(remove);
  const env = { STP_REGION: region };
  const plain = await portrait(directory, false, env);
  const hooked = await portrait(directory, true, env);
  for (const part of ['globals', 'environment', 'process', 'exit']) t.same(hooked[part], plain[part], part);
  // Node's own doing: loading node:worker_threads makes process.chdir count for the threads.
  t.same(differences(plain.functions, hooked.functions), ['process.chdir']);
  t.same(differences(plain.modules, hooked.modules), [...OF_NET, 'net.Symbol(stp-net.hook)'].sort());
  t.notOk(fs.existsSync(region), 'no region is opened');
  const off = await portrait(directory, true, { ...env, STP_NET: 'tcp' });
  t.same(differences(plain.modules, off.modules), ['net.Symbol(stp-net.hook)'], 'STP_NET=tcp patches nothing');
});

void t.test('the hook loads no call library and no region before the first socket that STP could carry', async (t) => {
  const { region, remove } = scratch();
  t.teardown(remove);
  const program = `
    const net = require('node:net');
    const fs = require('node:fs');
    const loaded = () => Object.keys(require.cache).filter((file) => /koffi|library\\.js/.test(file)).length;
    const tell = (what) => console.log(what, loaded() > 0, fs.existsSync(process.env.STP_REGION));
    tell('start');
    new net.Socket(); net.createServer(); require('node:https'); require('node:http2');
    tell('objects');
    net.connect({ path: '/nowhere/at/all' }).on('error', (error) => {
      tell(error.code);
      const server = net.createServer().listen(0, () => { tell('listening'); server.close(); });
    });
  `;
  const { stdout, stderr } = await node(['--require', REGISTER, '-e', program], { STP_REGION: region });
  t.same(
    stdout.trim().split('\n'),
    ['start false false', 'objects false false', 'ENOENT false false', 'listening true true'],
    stderr,
  );
});

void t.test('a client whose servers are all on TCP loads no call library, whoever else is in the region', async (t) => {
  const { region, remove } = scratch();
  t.teardown(remove);
  const env = { STP_REGION: region };
  const serve = `require('node:net').createServer((socket) => socket.end()).listen(0, '127.0.0.1', function () {
    console.log(this.address().port);
  })`;
  const portOf = async (args: string[]): Promise<number> => {
    const child = spawn(process.execPath, [...args, '-e', serve], { env: { ...environment(), ...env }, stdio: 'pipe' });
    t.teardown(() => child.kill());
    const [line] = (await once(child.stdout, 'data')) as [Buffer];
    return Number(String(line));
  };
  const [ofTcp, ofRegion] = await Promise.all([portOf([]), portOf(['--require', REGISTER])]);
  const program = `
    const net = require('node:net');
    const loaded = () => Object.keys(require.cache).some((file) => /[\\\\/]library\\.js$/.test(file));
    const call = (port) => new Promise((resolve) => {
      const socket = net.connect(port, 'localhost', () => console.log(loaded() || socket.stp?.reason));
      socket.on('close', resolve).resume();
    });
    call(${ofTcp}).then(() => call(${ofRegion}));
  `;
  const { stdout, stderr } = await node(['--require', REGISTER, '-e', program], env);
  t.same(stdout.trim().split('\n'), ['NO_LISTENER', 'true'], stderr);
});

void t.test('two copies and several ways of loading make one hook, which can be taken back', async (t) => {
  const { directory, region, remove } = scratch();
  t.teardown(remove);
  const copy = path.join(directory, 'copy');
  fs.cpSync(path.dirname(REGISTER), copy, { recursive: true });
  const program = `
    const net = require('node:net');
    const { connect } = net.Socket.prototype;
    require(${JSON.stringify(path.join(copy, 'register.js'))});
    require(${JSON.stringify(REGISTER)});
    require(${JSON.stringify(PACKAGE)});
    console.log(connect === net.Socket.prototype.connect);
    const hook = net[Symbol.for('stp-net.hook')];
    console.log(hook.patches.list().map((patch) => patch.name).join());
    const patched = [net.Socket.prototype.resetAndDestroy, net.Server.prototype.listen];
    hook.uninstall();
    console.log(
      connect !== net.Socket.prototype.connect,
      patched[0] !== net.Socket.prototype.resetAndDestroy,
      patched[1] !== net.Server.prototype.listen,
      hook.patches.list().length,
    );
    console.log(net.Socket.prototype.stpGive);
  `;
  const { stdout, stderr } = await node(['--require', REGISTER, '-e', program], { STP_REGION: region });
  t.same(stdout.trim().split('\n'), ['true', PATCHED.join(), 'true true true 0', 'undefined'], stderr);
});

void t.test('wrong configuration ends the start of a program, and says what is wrong', async (t) => {
  const { region, remove } = scratch();
  t.teardown(remove);
  const wrong: [Record<string, string>, RegExp][] = [
    [{ STP_NET: 'udp' }, /ESTPCONFIG: .*STP_NET="udp": must be 'auto', 'stp' or 'tcp'/],
    [{ STP_NET: '' }, /STP_NET=""/],
    [{ STP_RULES: 'stp *; never *' }, /STP_RULES, column 8/],
    [{ STP_TRACE: 'yes' }, /STP_TRACE must be 0 or 1/],
  ];
  for (const [env, message] of wrong) {
    const { code, stdout, stderr } = await node(['--require', REGISTER, '-e', 'console.log("ran")'], {
      STP_REGION: region,
      ...env,
    });
    t.not(code, 0, JSON.stringify(env));
    t.equal(stdout, '');
    t.match(stderr, message);
  }
  const { code, stdout } = await node(['--require', REGISTER, '-e', 'console.log("ran")'], {
    STP_NET: 'tcp',
    STP_RULES: 'nonsense',
  });
  t.same([code, stdout], [0, 'ran\n'], 'with STP_NET=tcp the shim does nothing, not even that');
});

void t.test('the hook reaches forks and workers, and ESM as well as CommonJS', async (t) => {
  const { directory, region, remove } = scratch();
  t.teardown(remove);
  const server = path.join(directory, 'server.cjs');
  fs.writeFileSync(
    server,
    `
    const net = require('node:net');
    const { parentPort } = require('node:worker_threads');
    const tell = (message) => (parentPort ? parentPort.postMessage(message) : process.send(message));
    const server = net.createServer((socket) => { server.close(); socket.end(socket.stp.transport); });
    server.listen(0, () => tell(server.address().port));
  `,
  );
  const main = path.join(directory, 'main.mjs');
  fs.writeFileSync(
    main,
    `
    import { fork } from 'node:child_process';
    import { Worker } from 'node:worker_threads';
    import { once } from 'node:events';
    import { readFileSync } from 'node:fs';
    import { connect } from 'node:net';
    const ask = async (port) => {
      const socket = connect(port);
      let text = '';
      for await (const chunk of socket) text += chunk;
      console.log(socket.stp.transport, text);
    };
    const child = fork(${JSON.stringify(server)});
    await ask((await once(child, 'message'))[0]);
    await once(child, 'exit');
    const code = readFileSync(${JSON.stringify(server)}, 'utf8');
    for (const begin of [() => new Worker(${JSON.stringify(server)}), () => new Worker(code, { eval: true })]) {
      const worker = begin();
      await ask((await once(worker, 'message'))[0]);
      await once(worker, 'exit');
    }
  `,
  );
  const env = { STP_REGION: region, STP_NET: 'stp' };
  for (const args of [
    ['--require', REGISTER, main],
    ['--import', REGISTER, main],
  ]) {
    const { stdout, stderr, code } = await node(args, env);
    t.same([code, stdout], [0, 'stp stp\n'.repeat(3)], `${args[0] ?? ''}: ${stderr}`);
  }
  const { stdout } = await node([main], { ...env, NODE_OPTIONS: `--require ${JSON.stringify(REGISTER)}` });
  t.equal(stdout, 'stp stp\n'.repeat(3), 'NODE_OPTIONS');
  t.notOk('STP_REGION' in environment(), 'the tests hand on no region of their own');
});

void t.test('without leave to write, a server is told which flag it lacks, or goes by TCP in auto', async (t) => {
  const { region, remove } = scratch();
  t.teardown(remove);
  const program = `
    const server = require('node:net').createServer();
    const tell = (code) => console.log(code, server.stp.transport, server.stp.error.code, server.stp.error.detail);
    server.on('error', ({ code }) => tell(code)).listen(0, () => server.close(() => tell('listens')));
  `;
  const known = process.allowedNodeEnvironmentFlags;
  const flags = [
    known.has('--permission') ? '--permission' : '--experimental-permission',
    ...(known.has('--allow-net') ? ['--allow-net'] : []),
    '--no-warnings',
    '--allow-fs-read=*',
  ];
  for (const [mode, start] of [
    ['stp', 'EACCES stp EACCES '],
    ['auto', 'listens tcp EACCES '],
  ] as const) {
    const { stdout, stderr, code } = await node([...flags, '--require', REGISTER, '-e', program], {
      STP_REGION: region,
      STP_NET: mode,
    });
    t.equal(code, 0, stderr);
    t.ok(stdout.startsWith(start), `${mode}: ${stdout}`);
    t.match(stdout, /restricted/u, `${mode}: what Node says of it`);
  }
});
