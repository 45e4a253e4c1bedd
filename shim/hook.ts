/**
 * The hook: patches Node's net in place, once for each thread, so that http, https, http2, fetch and whatever captured
 * the module are reached.
 *
 * Under each patched function lies Node's own. Which way a connection goes is decided where net.js asks the handle for
 * it; the hook loads the translator with the first call that STP may concern.
 */
// First, so that what the program replaces later is not what we have.
import { fixEnvironment } from '../src/host';
import type { StpClientId } from '../src/index';
import type { ChildProcess } from 'node:child_process';
import { syncBuiltinESMExports } from 'node:module';
import net from 'node:net';
import workerThreads from 'node:worker_threads';
import { type Configuration, configuration } from './configuration';
import { rememberHost } from './connect/host';
import { isOwnAddress } from './connect/own-addresses';
import { type ChannelTarget, watchChannel } from './handoff/channel';
import type { ClusterInternals } from './handoff/cluster';
import { loadChildProcess, loadCluster, loadedTranslator, loadGlance, loadTranslator } from './lazy';
import { type ConnectRequest, type Handle, ownerOf, type TcpHandle, tcpPrototype } from './node/handles';
import { type InternalSocket, type WriteCallback } from './node/internals';
import { Patches } from './node/patches';
import { status } from './node/status';
import { cameByNodeOptions, mayHaveComeByImport, removeOwnOptions, workerClass } from './node/workers';
import { note, stpProperty } from './note';
// Loaded with the hook for the context and the function that are there now.
import './node/root';
import './node/tick';

/**
 * On the net module: a second copy of this package (ESM beside CommonJS, two versions) must not patch what is patched.
 */
const HOOK = Symbol.for('stp-net.hook');

export interface Hook {
  readonly configuration: Configuration;
  readonly patches: Patches;
  /** stpTake of the copy that is installed: its sockets and no others carry what a give needs. */
  readonly take: (token: string, options?: net.SocketConstructorOpts) => net.Socket;
  /** Puts Node's own functions back. Sockets and servers of STP that are open stay what they are. */
  readonly uninstall: () => void;
}

type Method = (this: unknown, ...args: unknown[]) => unknown;

/** The hook that is installed in this thread. */
export function installedHook(): Hook | undefined {
  return (net as unknown as Record<symbol, Hook | undefined>)[HOOK];
}

/** Installs the hook, unless a copy has been. Throws ESTPCONFIG where STP_NET or STP_RULES are wrong. */
export function install(): Hook {
  const installed = installedHook();
  if (installed !== undefined) return installed;
  removeOwnOptions(process.env);
  const settings = configuration(fixEnvironment());
  const patches = new Patches();
  if (settings.mode !== 'tcp') patchAll(patches, settings);
  const hook: Hook = {
    configuration: settings,
    patches,
    take: (token, options) => loadTranslator().take(token, options),
    uninstall: () => {
      patches.restore();
      syncBuiltinESMExports();
      Reflect.deleteProperty(net, HOOK);
    },
  };
  Object.defineProperty(net, HOOK, { value: hook, configurable: true });
  return hook;
}

function patchAll(patches: Patches, settings: Configuration): void {
  patchSockets(patches, settings);
  patchServers(patches, settings);
  patchHandles(patches, settings);
  patchChannels(patches);
  if (process.channel !== undefined) patchClusterWorker(patches, settings);
  if (cameByNodeOptions(process.env) || mayHaveComeByImport(process)) {
    patches.replace<typeof workerThreads.Worker>('worker_threads.Worker', workerThreads, 'Worker', workerClass);
    syncBuiltinESMExports();
  }
}

function patchSockets(patches: Patches, settings: Configuration): void {
  patches.replace<Method>(
    'net.Socket.prototype.connect',
    net.Socket.prototype,
    'connect',
    (native) =>
      function connect(...args) {
        const ofPath = hasPath(args);
        const translator = ofPath ? undefined : translatorFor(settings, portOf(args));
        if (translator !== undefined) return translator.connect(settings, native, this, args);
        const connected = Reflect.apply(native, this, args);
        if (ofPath) note(this as object, 'UNIX_PATH', 'connect');
        return connected;
      },
  );
  patches.replace<Method>(
    'net.Socket.prototype._writeGeneric',
    net.Socket.prototype,
    '_writeGeneric',
    (native) =>
      function writeGeneric(writev, data, encoding, callback) {
        const socket = this as InternalSocket;
        const translator = loadedTranslator();
        if (translator === undefined || socket.connecting || !(socket._handle instanceof translator.StpStream)) {
          return Reflect.apply(native, this, [writev, data, encoding, callback]);
        }
        const oneEncoding = writev === true ? undefined : (encoding as string);
        translator.writeGeneric(socket, socket._handle, data, oneEncoding, callback as WriteCallback);
        return undefined;
      },
  );
  // @note Node 20 to 26 throw for handles that are not of Node's TCP class.
  patches.replace<Method>(
    'net.Socket.prototype.resetAndDestroy',
    net.Socket.prototype,
    'resetAndDestroy',
    (native) =>
      function resetAndDestroy() {
        const socket = this as InternalSocket;
        const translator = loadedTranslator();
        if (translator === undefined || !(socket._handle instanceof translator.StpStream))
          return Reflect.apply(native, this, []);
        if (socket.connecting)
          socket.once('connect', () => {
            socket._reset();
          });
        else socket._reset();
        return this;
      },
  );
  patches.add('net.Socket.prototype.stpGive', net.Socket.prototype, 'stpGive', {
    value: function stpGive(this: InternalSocket, clientId: StpClientId | null = null) {
      return loadTranslator().giveSocket(this, clientId);
    },
    writable: true,
  });
  patches.add('net.Socket.prototype.stp', net.Socket.prototype, 'stp', stpProperty);
}

function patchServers(patches: Patches, settings: Configuration): void {
  patches.add('net.Server.prototype.stp', net.Server.prototype, 'stp', stpProperty);
  patches.replace<Method>(
    'net.Server.prototype.listen',
    net.Server.prototype,
    'listen',
    (native) =>
      function listen(...args) {
        const server = this as net.Server;
        rememberListenHost(server, args);
        if (hasPath(args)) note(server, 'UNIX_PATH', 'listen');
        if (settings.mode !== 'stp') return Reflect.apply(native, this, args);
        return loadTranslator().listen(native, server, args);
      },
  );
  patches.replace<Method>(
    'net._createServerHandle',
    net,
    '_createServerHandle',
    (native) =>
      function createServerHandle(...args) {
        forWorkers += 1;
        try {
          return loadTranslator().sharedHandle(settings, () => Reflect.apply(native, net, args), args);
        } finally {
          forWorkers -= 1;
        }
      },
  );
}

/** The options of a connect or listen, or its port or path; net.js hands on arguments that it has put in an array. */
function firstOf([first]: readonly unknown[]): unknown {
  return Array.isArray(first) ? first[0] : first;
}

/** A Unix socket or a pipe: those stay with Node. */
function hasPath(args: readonly unknown[]): boolean {
  if (typeof args[0] === 'string') return Number.isNaN(Number(args[0]));
  const options = firstOf(args);
  return (
    typeof options === 'object' &&
    options !== null &&
    typeof (options as { path?: unknown }).path === 'string' &&
    (options as { port?: unknown }).port === undefined
  );
}

/** More than 0: what is bound now goes to other processes, and is bound in the kernel whatever the mode. */
let forWorkers = 0;

/** The host that a listen names, for rules: the handle only sees an address. */
function rememberListenHost(server: net.Server, args: readonly unknown[]): void {
  const [first, second] = args;
  const host: unknown = typeof first === 'object' && first !== null ? (first as { host?: unknown }).host : second;
  rememberHost(server, typeof host === 'string' && host !== '' ? host : undefined);
}

/** Node's TCP handles: net.js calls these methods for each address that it connects to or listens at. */
function patchHandles(patches: Patches, settings: Configuration): void {
  for (const name of ['connect', 'connect6'] as const) {
    patches.replace<Connect>(
      `TCP.prototype.${name}`,
      tcpPrototype,
      name,
      (native) =>
        function connect(request, ip, port) {
          const translator = translatorFor(settings, port);
          if (translator !== undefined) return translator.connectTcpHandle(settings, this, request, ip, port);
          if (settings.mode === 'stp') return status('EMFILE');
          const socket = ownerOf(this);
          if (typeof socket === 'object' && socket !== null)
            note(socket, isOwnAddress(ip) ? 'NO_LISTENER' : 'NOT_OURS', `connect ${ip}:${port}`);
          return native.call(this, request, ip, port);
        },
    );
  }
  for (const name of ['bind', 'bind6'] as const) {
    patches.replace<Bind>(
      `TCP.prototype.${name}`,
      tcpPrototype,
      name,
      (native) =>
        function bind(ip, port, flags) {
          const translator = forWorkers > 0 ? undefined : translatorToListen();
          return translator === undefined
            ? native.call(this, ip, port, flags)
            : translator.bindTcpHandle(settings, native, this, { ip, port, flags: flags ?? 0 });
        },
    );
  }
  patches.replace<Listen>(
    'TCP.prototype.listen',
    tcpPrototype,
    'listen',
    (native) =>
      function listen(backlog) {
        const translator = translatorToListen();
        const byNode = (length: number): number => native.call(this, length);
        return translator === undefined ? byNode(backlog) : translator.listenHandle(settings, byNode, this, backlog);
      },
  );
}

type Connect = (this: TcpHandle, request: ConnectRequest, ip: string, port: number) => number;
type Bind = (this: TcpHandle, ip: string, port: number, flags?: number) => number;
type Listen = (this: TcpHandle, backlog: number) => number;

/** Children have their channels long before there is a socket to send through one. */
function patchChannels(patches: Patches): void {
  const children = loadChildProcess().ChildProcess.prototype as unknown as Record<string, Method>;
  patches.replace<Method>(
    'child_process.ChildProcess.prototype.spawn',
    children,
    'spawn',
    (native) =>
      function spawn(...args) {
        const translator = loadedTranslator();
        const [options] = args;
        const result =
          translator?.hasSocketStdio(options) === true
            ? translator.spawnWithSockets(this as ChildProcess, native, options)
            : Reflect.apply(native, this, args);
        watchChannel(this as ChannelTarget);
        return result;
      },
  );
  watchChannel(process as unknown as ChannelTarget);
}

/** The workers of a cluster listen at STP themselves. */
function patchClusterWorker(patches: Patches, settings: Configuration): void {
  const cluster = loadCluster();
  if (!cluster.isWorker) return;
  patches.replace<ClusterInternals['_getServer']>(
    'cluster._getServer',
    cluster,
    '_getServer',
    (native) =>
      function getServer(...args) {
        const listen = (handle: Handle, backlog: number): number =>
          loadTranslator().listenHandle(settings, () => 0, handle, backlog);
        loadTranslator().getServer(native, args, listen, cluster as unknown as ClusterInternals);
      },
  );
}

type Translator = ReturnType<typeof loadTranslator>;

const SCARCE: readonly string[] = ['EMFILE', 'ENFILE', 'ENOMEM'];

/** The port that a connect names, where it is a plain one. */
function portOf(args: readonly unknown[]): number | undefined {
  const options = firstOf(args);
  const port: unknown =
    typeof options === 'object' && options !== null ? (options as { port?: unknown }).port : options;
  const number = typeof port === 'string' && port.trim() !== '' ? Number(port) : port;
  return typeof number === 'number' && number >= 0 ? number : undefined;
}

/** The translator, for a client: one in `auto` has no use for it while no process in the region listens at the port. */
function translatorFor(settings: Configuration, port: number | undefined): Translator | undefined {
  const loaded = loadedTranslator();
  if (loaded !== undefined) return loaded;
  return unlessScarce(settings, port);
}

function translatorToListen(): Translator | undefined {
  return unlessScarce();
}

/**
 * The translator; undefined where a client of `settings` has no use for it, or where nothing can be loaded just now,
 * because the program has no descriptor or no memory left; the next call tries again. No closure: each connect by TCP
 * comes here.
 */
function unlessScarce(settings?: Configuration, port?: number): Translator | undefined {
  try {
    return settings === undefined || mayNeed(settings, port) ? loadTranslator() : undefined;
  } catch (error) {
    if (error instanceof Error && SCARCE.includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
}

function mayNeed({ mode, rules, directories }: Configuration, port: number | undefined): boolean {
  return mode !== 'auto' || rules.length > 0 || loadGlance().mayListen(directories, port);
}
