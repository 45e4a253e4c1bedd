/**
 * The STP side of a listening handle: a listening descriptor, whose connections it hands to `handle.onconnection`, as
 * the kernel's are.
 *
 * It lies beside a TCP handle that listens as well, or one that does not (STP alone), or a stand-in that a cluster
 * worker has. What net.js asks the handle afterwards (close, ref, unref, its name) is answered here first.
 */
import { AsyncResource } from 'node:async_hooks';
import type net from 'node:net';
import {
  MSG_DONTWAIT,
  PF_STP,
  SO_REUSEPORT,
  SOCK_STREAM,
  SOL_SOCKET,
  type SocketWatcher,
  type StpAddress,
  STP_DEATH_AS_TCP,
  STP_REF,
  STP_WATCHER,
  STPaccept,
  STPbind,
  STPclose,
  STPgethostname,
  STPlisten,
  STPsetopt,
  STPsetsockopt,
  STPsocket,
} from '../../src/index';
import { clearTimeout, setTimeout } from '../../src/host';
import { isIpv6 } from '../connect/own-addresses';
import { statusOf } from '../node/errors';
import { type Handle, type SocketName, ownerOf } from '../node/handles';
import { inRoot } from '../node/root';
import { endCallback } from '../node/tick';
import { note } from '../note';
import { type EndNames, type Ends, namesOf, socketName } from './names';
import { StpStream } from './stream';

const BACKLOG_MAX = 65_535;

export interface ListenAddress {
  readonly ip: string;
  /** 0: one that is free. */
  readonly port: number;
  /** Others may listen at the port as well. */
  readonly shared: boolean;
  /** `::` without IPv4. */
  readonly ipv6Only: boolean;
}

/** Ends of what is accepted: one for all. */
const MAPPED: Ends = { mapped: true };
const PLAIN: Ends = { mapped: false };

export class Listener implements SocketWatcher {
  readonly descriptor: number;
  readonly address: ListenAddress;
  readonly handle: Handle;
  /** There is no TCP beside it. */
  readonly alone: boolean;
  /** Called where the port was lost: another process took this one for dead and has it now. */
  onLost: (() => void) | undefined;
  readonly #resource = new AsyncResource('STPSERVER', { requireManualDestroy: true });
  #open = true;
  #retry: NodeJS.Timeout | undefined;
  /** The ends of the request that the STPaccept just made has refused. */
  #dropped: EndNames | undefined;

  /** Binds and listens; throws what the calls throw. `alone`: there is no TCP beside it. */
  constructor(handle: Handle, wanted: ListenAddress, backlog: number, alone: boolean) {
    this.handle = handle;
    this.alone = alone;
    this.descriptor = STPsocket(PF_STP, SOCK_STREAM, PF_STP);
    try {
      if (wanted.shared) STPsetsockopt(this.descriptor, SOL_SOCKET, SO_REUSEPORT, true);
      STPbind(this.descriptor, { port: wanted.port, ip: wanted.ip, ipv6Only: wanted.ipv6Only });
      STPlisten(this.descriptor, lengthOf(backlog));
      STPsetopt(this.descriptor, STP_WATCHER, this);
      STPsetopt(this.descriptor, STP_DEATH_AS_TCP, true);
      this.address = { ...wanted, port: STPgethostname(this.descriptor).port };
    } catch (error) {
      STPclose(this.descriptor).catch(() => undefined);
      throw error;
    }
    listeners.set(handle, this);
    answerFor(handle, this, alone);
  }

  get open(): boolean {
    return this.#open;
  }

  setReferenced(referenced: boolean): void {
    if (this.#open) STPsetopt(this.descriptor, STP_REF, referenced);
  }

  /** Ends listening: what waits in the queue is refused. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    clearTimeout(this.#retry);
    STPclose(this.descriptor).catch(() => undefined);
    this.#resource.emitDestroy();
  }

  // --- SocketWatcher ---

  reset(): void {
    if (!this.#open) return;
    this.close();
    if (this.onLost !== undefined) this.#run(this.onLost);
  }

  acceptable(): void {
    clearTimeout(this.#retry);
    this.#retry = undefined;
    while (this.#open) {
      const tell = this.#accept();
      if (tell === undefined) return;
      let told = false;
      try {
        this.#run(tell);
        told = true;
      } finally {
        // A listener of the program threw; those behind in the queue were told of once.
        if (!told) this.#acceptLater();
      }
    }
  }

  dropped(client: StpAddress, called: StpAddress): void {
    this.#dropped = namesOf(called, client, this.#ends);
  }

  /** Takes one request: what the program is to be told of it. Undefined where none waits. */
  #accept(): (() => void) | undefined {
    this.#dropped = undefined;
    try {
      const descriptor = STPaccept(this.descriptor, MSG_DONTWAIT) as number;
      return descriptor < 0
        ? undefined
        : () => {
            this.#hand(descriptor);
          };
    } catch (error) {
      // No room for a socket here (EMFILE) or in the region (ENOSPC): the request was refused, and the next may be
      // taken.
      statusOf(error);
      const dropped = this.#dropped as EndNames | undefined;
      return dropped === undefined
        ? undefined
        : () => {
            this.#tellDropped(dropped);
          };
    }
  }

  /** As net.js tells of those that maxConnections turns away. */
  #tellDropped({ local, remote }: EndNames): void {
    const server = ownerOf(this.handle) as net.Server | undefined;
    server?.emit('drop', {
      localAddress: local.address,
      localPort: local.port,
      localFamily: local.family,
      remoteAddress: remote.address,
      remotePort: remote.port,
      remoteFamily: remote.family,
    });
  }

  #acceptLater(): void {
    this.#retry = setTimeout(() => {
      this.acceptable();
    }, 0);
    this.#retry.unref();
  }

  /** Of what is accepted. */
  get #ends(): Ends {
    return isIpv6(this.address.ip) ? MAPPED : PLAIN;
  }

  #run(fn: () => void): void {
    try {
      this.#resource.runInAsyncScope(fn);
    } finally {
      endCallback();
    }
  }

  #hand(descriptor: number): void {
    const stream = inRoot(() => new StpStream());
    stream.ends = this.#ends;
    stream.onOwner = (socket) => {
      note(socket, 'ACCEPTED', `accept :${this.address.port}`);
    };
    stream.connected = true;
    stream.attach(descriptor, true);
    (this.handle.onconnection as (status: number, client: Handle) => void).call(this.handle, 0, stream);
  }
}

/** As for kernels, less than none is as much as can be had; net.js passes on whatever the program gave. */
function lengthOf(backlog: unknown): number {
  const length = Math.trunc(Number(backlog)) || 0;
  return length < 0 ? BACKLOG_MAX : Math.min(BACKLOG_MAX, Math.max(1, length));
}

const listeners = new WeakMap<object, Listener>();

/** The open STP listener of a server, through its handle. */
export function listenerOf(server: object): Listener | undefined {
  const { _handle: handle } = server as { _handle?: object | null };
  const listener = handle === undefined || handle === null ? undefined : listeners.get(handle);
  return listener?.open === true ? listener : undefined;
}

type Method = (...args: unknown[]) => unknown;

/** Puts methods on the handle that ask the listener first. `alone`: the handle itself is not bound, and has no name. */
function answerFor(handle: Handle, listener: Listener, alone: boolean): void {
  const before = (name: string, first: () => void): void => {
    const beneath: unknown = Reflect.get(handle, name);
    Object.defineProperty(handle, name, {
      value: function (this: Handle, ...args: unknown[]): unknown {
        first();
        return typeof beneath === 'function' ? Reflect.apply(beneath as Method, handle, args) : undefined;
      },
      configurable: true,
      writable: true,
    });
  };
  before('close', () => {
    listener.close();
  });
  before('ref', () => {
    listener.setReferenced(true);
  });
  before('unref', () => {
    listener.setReferenced(false);
  });
  if (!alone) return;
  handle.getsockname = (out: SocketName) => {
    Object.assign(out, socketName(listener.address.ip, listener.address.port));
    return 0;
  };
}
