/**
 * The hook: patches Node's net in place, once for each thread, so that http, https, http2, fetch and whoever captured the module are reached.
 *
 * The patched functions here only ask the translator, which is loaded by the first of them that is called.
 */
import net from 'node:net';
import { syncBuiltinESMExports } from 'node:module';
import type tls from 'node:tls';
import { configuration, type Configuration } from './configuration';
import { type ChannelTarget, watchChannel } from './channel';
import { loadChildProcess, loadTls, loadTranslator } from './lazy';
import { Patches } from './patches';
import { connectUnloaded, listenUnloaded, translatorNow } from './unloaded';
// Loaded with the hook for the context in which it is loaded.
import './root';

/** On the net module: a second copy of this package (ESM beside CommonJS, two versions) must not patch what is patched. */
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
  const settings = configuration(process.env);
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
  patches.replace<Method>('net.Socket.prototype.connect', net.Socket.prototype, 'connect', (native) => function connect(...args) {
    const translator = translatorNow();
    return translator instanceof Error ? connectUnloaded(settings, native, this as net.Socket, args, translator) : translator.connect(settings, native, this, args);
  });
  patches.replace<Method>('net.Server.prototype.listen', net.Server.prototype, 'listen', (native) => function listen(...args) {
    const translator = translatorNow();
    return translator instanceof Error ? listenUnloaded(settings, native, this as net.Server, args, translator) : translator.listen(settings, native, this, args);
  });
  patches.replace<Method>('net._createServerHandle', net, '_createServerHandle', (native) => function createServerHandle(...args) {
    return loadTranslator().sharedHandle(settings, native, args);
  });
  // Children have their channels long before there is a socket to send through one.
  const children = loadChildProcess().ChildProcess.prototype as unknown as Record<string, Method>;
  patches.replace<Method>('child_process.ChildProcess.prototype.spawn', children, 'spawn', (native) => function spawn(...args) {
    const result = Reflect.apply(native, this, args);
    watchChannel(this as ChannelTarget);
    return result;
  });
  watchChannel(process as unknown as ChannelTarget);
  const secure = loadTls();
  if (secure === undefined) return;
  patchTls(patches, settings, secure);
  // `import { connect } from 'node:tls'` is a copy of the export. The other patches lie on prototypes, which are shared.
  syncBuiltinESMExports();
}

/** tls is loaded for it (2 to 7 ms): there is no other way to know when a program loads it. */
function patchTls(patches: Patches, settings: Configuration, secure: typeof tls): void {
  patches.replace<Method>('tls.connect', secure, 'connect', (native) => function connect(...args) {
    const translator = translatorNow();
    // Node's own makes a socket and connects it, which comes here as any other.
    return translator instanceof Error ? Reflect.apply(native, this, args) : translator.tlsConnect(settings, native, this, args);
  });
  patches.replace<Method>('tls.TLSSocket.prototype._init', secure.TLSSocket.prototype, '_init', (native) => function init(...args) {
    const result = Reflect.apply(native, this, args);
    // A TLS socket on a handle of Node's own is no concern of ours, and must not load the translator.
    const inner = args[0] as { _handle?: unknown } | null | undefined;
    if (inner !== null && inner !== undefined && inner._handle === null) loadTranslator().tlsInit(this, args);
    return result;
  });
}
