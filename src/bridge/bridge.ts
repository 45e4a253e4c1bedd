/**
 * A bridge: what it listens at, and the connections that go through it. Each connection is joined by itself, and what
 * one of them does touches no other.
 */
import { type Socket } from 'node:net';
import { type Duplex } from 'node:stream';
import { StpError } from '../errors';
import { clearTimeout, setTimeout } from '../host';
import { shownTcp, type TcpAddress } from './address';
import { type Credentials } from './credentials';
import { Dialer, type DialOptions } from './dialer';
import { type Forward, shownForward, type StreamForward, type UdpForward, withListener } from './forward';
import { HttpProxy } from './http-proxy';
import { join } from './join';
import { type Rate } from './rate';
import { ProxyProtocol, type ProxyProtocolOptions, type Side } from './proxy-protocol';
import { Refusals } from './refusals';
import { readSocks } from './socks';
import { StpListener } from './stp-listener';
import { finish, listenTcp, reset } from './tcp';
import { type Traffic } from './traffic';
import { UdpAssociations } from './udp-associate';
import { type UdpSettings } from './udp-client-side';
import { Flows } from './udp-flows';
import { openLocalUdp, openRemoteUdp } from './udp-forwards';

export interface BridgeOptions extends DialOptions, ProxyProtocolOptions {
  readonly credentials: Credentials | undefined;
  readonly handshakeTimeoutMs: number;
  /** 0: never. */
  readonly idleTimeoutMs: number;
  /** For all connections together; undefined: no limit. */
  readonly rate: Rate | undefined;
  readonly connectionsMax: number;
  /** Flows of UDP. */
  readonly flowsMax: number;
  readonly flowTimeoutMs: number;
}

/** What a bridge tells of. */
export interface BridgeEvents {
  closed(connection: {
    from: string;
    to: string;
    sentBytes: number;
    receivedBytes: number;
    /** Of UDP alone. */
    droppedDatagrams?: number;
  }): void;
  /** A connection did not come about. `count`: as many in the last second, of which this was the last. */
  failed(connection: { from: string; to: string; error: Error; count?: number }): void;
}

/** How a forward is opened. */
export interface OpenOptions {
  /** A socket that has its address and listens: of a process that started this one. */
  readonly fd?: number | undefined;
  readonly traffic: Traffic;
  /** It does not listen any more. */
  readonly lost: () => void;
}

/** A forward that listens. */
export interface OpenForward {
  /** As it was asked for, with the real port. */
  readonly forward: Forward;
  readonly traffic: Traffic;
  /** New connections are served as this one says. It must have the same listener. */
  retarget(forward: Forward): void;
  close(): void;
}

/** What a forward of streams is while it listens. */
interface OpenStream extends OpenForward {
  readonly forward: StreamForward;
}

/** One end forwards TCP and the other UDP. */
const WRONG_END = 'EPROTOTYPE';

export class Bridge {
  #options: BridgeOptions;
  readonly #events: BridgeEvents;
  readonly #forwards = new Set<OpenForward>();
  readonly #clients = new Map<Duplex, Traffic>();
  readonly #dialer = new Dialer(() => this.#options);
  readonly #proxyProtocol = new ProxyProtocol(() => this.#options);
  readonly #refusals: Refusals<{ from: string; to: string }>;
  readonly #udp: UdpSettings;
  readonly #associations: UdpAssociations;
  #proxy: HttpProxy;
  #drained: (() => void) | undefined;

  constructor(options: BridgeOptions, events: BridgeEvents) {
    this.#options = options;
    this.#events = events;
    this.#proxy = this.#httpProxy(options);
    this.#refusals = new Refusals((last, count) => {
      events.failed({ ...last, error: new StpError('EMFILE', 'too many connections'), count });
    });
    this.#udp = {
      flows: new Flows(options.flowsMax, options.flowTimeoutMs),
      rules: () => this.#options.rules,
      connectTimeoutMs: () => this.#options.connectTimeoutMs,
      readyTimeoutMs: () => this.#options.handshakeTimeoutMs,
      events,
    };
    this.#associations = new UdpAssociations(this.#udp, () => this.#options.idleTimeoutMs);
  }

  /** For new connections. Connections to targets that are not allowed any more are reset; flows of UDP begin anew. */
  configure(options: BridgeOptions): void {
    const { rate } = this.#options;
    // One budget for the connections of before and the new ones.
    const isSameRate = rate?.bytesPerSecond === options.rate?.bytesPerSecond;
    this.#options = isSameRate ? { ...options, rate } : options;
    this.#proxy = this.#httpProxy(this.#options);
    this.#dialer.checkAgain();
    this.#udp.flows.configure(options.flowsMax, options.flowTimeoutMs);
  }

  #httpProxy(options: BridgeOptions): HttpProxy {
    return new HttpProxy({
      ...options,
      dial: async (target, client, from) => {
        try {
          const server = await this.#dialer.region(target, client);
          this.#reached('local', client, server);
          return server;
        } catch (error) {
          this.#clients.get(client)?.refused();
          this.#events.failed({ from, to: shownTcp(target), error: error as Error });
          throw error;
        }
      },
    });
  }

  get connections(): number {
    return this.#clients.size;
  }

  /** Begins to listen; rejects with why it can't. */
  async open(forward: Forward, options: OpenOptions): Promise<OpenForward> {
    const opened = await this.#open(forward, options);
    this.#forwards.add(opened);
    return opened;
  }

  #open(forward: Forward, options: OpenOptions): Promise<OpenForward> | OpenForward {
    if (forward.kind === 'local-udp' || forward.kind === 'remote-udp') return this.#openUdp(forward, options);
    return 'listen' in forward ? this.#openTcp(forward, options) : this.#openStp(forward, options);
  }

  async #openUdp(forward: UdpForward, { traffic, lost }: OpenOptions): Promise<OpenForward> {
    const udp =
      forward.kind === 'local-udp'
        ? await openLocalUdp(forward, this.#udp)
        : openRemoteUdp(forward, this.#udp, () => {
            this.#forwards.delete(opened);
            lost();
          });
    const opened = this.#opened<Forward>(udp.forward, traffic, () => {
      udp.close();
    });
    return opened;
  }

  async #openTcp(
    forward: Extract<StreamForward, { listen: TcpAddress }>,
    { fd, traffic }: OpenOptions,
  ): Promise<OpenForward> {
    const accepted = (socket: Socket): void => {
      const { remoteAddress, remotePort } = socket;
      const from =
        remoteAddress === undefined || remotePort === undefined
          ? shownTcp(forward.listen)
          : shownTcp({ host: remoteAddress, port: remotePort });
      void this.#serve(opened, socket, from);
    };
    const server = await listenTcp({ at: forward.listen, fd, keepAliveMs: this.#options.keepAliveMs }, accepted);
    const address = server.address();
    const listen =
      address === null || typeof address === 'string' || 'path' in forward.listen
        ? forward.listen
        : { host: forward.listen.host, port: address.port };
    // A connection that could not be accepted, as where this process has too many files open: the next one may be.
    server.on('error', (error) => {
      traffic.refused();
      this.#events.failed({ from: shownTcp(listen), to: shownForward(opened.forward), error });
    });
    const opened = this.#opened<StreamForward>({ ...forward, listen }, traffic, () => {
      server.close();
    });
    return opened;
  }

  #openStp(forward: Exclude<StreamForward, { listen: TcpAddress }>, { traffic, lost }: OpenOptions): OpenForward {
    const listener = new StpListener(forward.port, {
      accepted: (stream, from) => {
        void this.#serve(opened, stream, from);
      },
      lost: () => {
        this.#forwards.delete(opened);
        lost();
      },
    });
    const opened = this.#opened<StreamForward>({ ...forward, port: listener.port }, traffic, () => {
      listener.close();
    });
    return opened;
  }

  /** `real`: with the port at which it listens, which it keeps. */
  #opened<F extends Forward>(real: F, traffic: Traffic, close: () => void): OpenForward & { readonly forward: F } {
    let current = real;
    const opened = {
      get forward() {
        return current;
      },
      traffic,
      retarget: (next: Forward): void => {
        current = withListener(next, real) as F;
      },
      close: () => {
        this.#forwards.delete(opened);
        close();
      },
    };
    return opened;
  }

  async #serve({ forward, traffic }: OpenStream, client: Duplex, from: string): Promise<void> {
    client.on('error', () => undefined);
    traffic.began(client);
    if (this.#clients.size >= this.#options.connectionsMax) {
      reset(client);
      traffic.ended(client);
      traffic.refused();
      this.#refusals.add({ from, to: shownForward(forward) });
      return;
    }
    this.#clients.set(client, traffic);
    try {
      const name = await this.#nameOf(forward, client, from);
      if (name === undefined) return;
      if (forward.kind === 'http') await this.#proxy.serve(client, name);
      else await this.#forward(forward, client, name);
    } finally {
      traffic.ended(client);
      this.#clients.delete(client);
      if (this.#clients.size === 0) this.#drained?.();
    }
  }

  #reached(side: Side, client: Duplex, server: Duplex): void {
    this.#clients.get(client)?.reached(client, server);
    this.#proxyProtocol.greet(side, client, server);
  }

  /** What the client is called, by its header where one is wanted. Undefined: that was wrong, and it is gone. */
  async #nameOf(forward: StreamForward, client: Duplex, from: string): Promise<string | undefined> {
    if (!this.#proxyProtocol.accepts(sideOf(forward))) return from;
    try {
      const source = await this.#proxyProtocol.accept(client);
      return source === undefined ? from : shownTcp(source);
    } catch (error) {
      reset(client);
      this.#clients.get(client)?.refused();
      this.#events.failed({ from, to: shownForward(forward), error: error as Error });
      await closed(client);
      return undefined;
    }
  }

  async #forward(forward: Exclude<StreamForward, { kind: 'http' }>, client: Duplex, from: string): Promise<void> {
    let to = shownForward(forward);
    let server: Duplex;
    try {
      if (forward.kind === 'local') {
        const { system, port } = forward.to;
        server = await this.#dialer.region({ host: system, port }, client);
      } else if (forward.kind === 'remote') server = await this.#dialer.tcp(forward.to, client);
      else {
        const request = await this.#handshake(client);
        if (request.isUdp === true) {
          await this.#associations.serve(client, request, from);
          return;
        }
        to = `${request.target.host}:${request.target.port}`;
        try {
          server =
            forward.kind === 'socks'
              ? await this.#dialer.region(request.target, client)
              : await this.#dialer.tcp(request.target, client);
        } catch (error) {
          request.answer(String((error as { code?: unknown }).code));
          throw error;
        }
        request.answer();
      }
    } catch (error) {
      // A SOCKS client has been told why.
      if (forward.kind === 'local' || forward.kind === 'remote') reset(client);
      else finish(client);
      this.#clients.get(client)?.refused();
      this.#events.failed({ from, to, error: error as Error });
      await closed(client);
      return;
    }
    this.#reached(sideOf(forward), client, server);
    const counts = await join(client, server, this.#options);
    const mistake = [client.errored, server.errored].find(
      (error) => error instanceof StpError && error.code === WRONG_END,
    );
    if (mistake) this.#events.failed({ from, to, error: mistake });
    else this.#events.closed({ from, to, ...counts });
  }

  /** A client that says nothing, or no end of it, is reset. */
  async #handshake(client: Duplex): ReturnType<typeof readSocks> {
    const timer = setTimeout(() => {
      reset(client);
    }, this.#options.handshakeTimeoutMs);
    try {
      return await readSocks(client, this.#options.credentials);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Listens no more; what is connected goes on, UDP ends. Resolves when the last connection has ended. */
  async drain(): Promise<void> {
    for (const forward of [...this.#forwards]) forward.close();
    this.#refusals.flush();
    this.#associations.end();
    await this.#udp.flows.end();
    if (this.#clients.size === 0) return;
    await new Promise<void>((resolve) => {
      this.#drained = resolve;
    });
  }

  /** Resets all that is left. */
  abort(): void {
    for (const client of this.#clients.keys()) reset(client);
  }
}

function sideOf(forward: StreamForward): Side {
  return 'listen' in forward ? 'local' : 'remote';
}

/** Resolves once the stream is closed. */
function closed(stream: Duplex): Promise<void> {
  return new Promise((resolve) => {
    if (stream.closed) resolve();
    else stream.once('close', resolve);
  });
}
