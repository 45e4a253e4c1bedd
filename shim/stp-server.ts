/**
 * A net.Server that listens on STP: what net.js would ask its handle, asked of the listener instead.
 *
 * The methods lie on the server itself, put there when it begins to listen: subclasses (http, tls, http2) have their own, which are called on.
 * They stay when it is closed, and then only pass on: a program may have wrapped them meanwhile.
 */
import net from 'node:net';
import { socketName } from './addresses';
import { type InternalServer } from './internals';
import { type Listener } from './listener';

interface State {
  listener: Listener;
  /** What address() shows while the listener is alone. */
  host: string;
  /** Within close(): nothing but its end may find the server drained. */
  closing: boolean;
}

const kState = Symbol('stp-net.listener');

function stateOf(server: object): State | undefined {
  return (server as { [kState]?: State })[kState];
}

/** The listener of a server, open or not. */
export function listenerOf(server: object): Listener | undefined {
  return stateOf(server)?.listener;
}

/** The address that a server listens at. */
export function hostOf(server: object): string {
  return stateOf(server)?.host ?? '::';
}

/** The server listens on STP from now on. */
export function setListener(server: InternalServer, listener: Listener, host = '::'): void {
  const state = stateOf(server);
  if (state !== undefined) {
    state.listener = listener;
    state.host = host;
    return;
  }
  Object.defineProperty(server, kState, { value: { listener, host, closing: false } satisfies State, configurable: true });
  install(server);
}

/**
 * What the classes of the server do when it closes. http closes idle connections first: with a handle, none of them would be the last one of
 * a closed server.
 */
function closeBeneath(server: InternalServer, beneath: Method): unknown {
  const state = stateOf(server);
  if (state === undefined) return beneath.call(server);
  state.closing = true;
  try {
    return beneath.call(server);
  } finally {
    state.closing = false;
    server._emitCloseIfDrained();
  }
}

/** The listener, where it is open and all that the server has. */
function aloneOf(server: object): Listener | undefined {
  const listener = listenerOf(server);
  return listener?.open === true && listener.alone ? listener : undefined;
}

type Method = (this: InternalServer, ...args: unknown[]) => unknown;

/** Puts `make(beneath)` on the server, where `beneath` calls what is there now or, later, on its prototype. */
function override(server: InternalServer, key: string | symbol, make: (beneath: Method) => Method): void {
  const own = Object.getOwnPropertyDescriptor(server, key)?.value as Method | undefined;
  const beneath: Method = function (...args) {
    const method = own ?? (Object.getPrototypeOf(this) as Record<PropertyKey, Method | undefined>)[key];
    return method === undefined ? undefined : Reflect.apply(method, this, args);
  };
  Object.defineProperty(server, key, { value: make(beneath), configurable: true, writable: true });
}

function install(server: InternalServer): void {
  override(server, 'close', (beneath) => function close(callback) {
    const listener = listenerOf(this);
    if (listener?.open !== true) return beneath.call(this, callback);
    listener.close();
    if (!listener.alone) return beneath.call(this, callback);
    // Node takes a server without a handle for one that is not running, and would tell the callback so.
    if (typeof callback === 'function') this.once('close', callback as () => void);
    return closeBeneath(this, beneath);
  });
  override(server, 'ref', (beneath) => function ref() {
    listenerOf(this)?.setReferenced(true);
    return beneath.call(this);
  });
  override(server, 'unref', (beneath) => function unref() {
    listenerOf(this)?.setReferenced(false);
    return beneath.call(this);
  });
  override(server, 'address', (beneath) => function address() {
    const alone = aloneOf(this);
    return alone === undefined ? beneath.call(this) : socketName(shownHost(stateOf(this)?.host), alone.boundPort);
  });
  override(server, '_emitCloseIfDrained', (beneath) => function emitCloseIfDrained() {
    return aloneOf(this) === undefined && stateOf(this)?.closing !== true ? beneath.call(this) : undefined;
  });
  if (Symbol.asyncDispose in server) installDispose(server);
  Object.defineProperty(server, 'listening', {
    get(this: InternalServer) {
      return this._handle !== null || listenerOf(this)?.open === true;
    },
    configurable: true,
    enumerable: true,
  });
}

function installDispose(server: InternalServer): void {
  override(server, Symbol.asyncDispose, (beneath) => async function asyncDispose() {
    if (aloneOf(this) === undefined) return beneath.call(this);
    return new Promise<void>((resolve, reject) => {
      this.close((error) => {
        if (error === undefined) resolve();
        else reject(error);
      });
    });
  });
}

/** Programs parse it: a name shows as loopback. */
function shownHost(host = '::'): string {
  return net.isIP(host) === 0 ? '127.0.0.1' : host;
}
