/**
 * A bridge: what it listens at, and the connections that go through it. Each connection is joined by itself, and what
 * one of them does touches no other.
 */
import { type Socket } from 'node:net';
import { type Duplex } from 'node:stream';
import { StpError } from '../errors';
import { clearTimeout, nowMs, setTimeout } from '../host';
import { shownTcp, type TcpAddress } from './address';
import { type Credentials } from './credentials';
import { type Forward, shownForward, type StreamForward, type UdpForward } from './forward';
import { HttpProxy } from './http-proxy';
import { join } from './join';
import { type Target, type TargetRules } from './rules';
import { type Rate } from './rate';
import { Refusals } from './refusals';
import { readSocks } from './socks';
import { StpListener } from './stp-listener';
import { connectStp } from './stp-stream';
import { systemOf } from './system-names';
import { connectTcp, finish, listenTcp, reset } from './tcp';
import { UdpAssociations } from './udp-associate';
import { type UdpSettings } from './udp-client-side';
import { Flows } from './udp-flows';
import { openLocalUdp, openRemoteUdp } from './udp-forwards';

export interface BridgeOptions {
  readonly rules: TargetRules;
  readonly credentials: Credentials | undefined;
  readonly connectTimeoutMs: number;
  /** How long a target that refuses is called again. */
  readonly retryMs: number;
  readonly handshakeTimeoutMs: number;
  /** 0: never. */
  readonly idleTimeoutMs: number;
  /** TCP keep-alive after so long a silence; 0: none. */
  readonly keepAliveMs: number;
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
  /** A forward does not listen any more. */
  lost(forward: Forward): void;
}

/** A forward that listens. */
export interface OpenForward {
  /** As it was asked for, with the real port. */
  readonly forward: Forward;
  close(): void;
}

/** One end forwards TCP and the other UDP. */
const WRONG_END = 'EPROTOTYPE';
const RETRY_FIRST_MS = 50;
const RETRY_MAX_MS = 1000;
const RETRIED: readonly unknown[] = ['ECONNREFUSED', 'EHOSTUNREACH', 'ENOENT'];

export class Bridge {
  readonly #options: BridgeOptions;
  readonly #events: BridgeEvents;
  readonly #forwards = new Set<OpenForward>();
  readonly #clients = new Set<Duplex>();
  readonly #proxy: HttpProxy;
  readonly #refusals: Refusals<{ from: string; to: string }>;
  readonly #udp: UdpSettings;
  readonly #associations: UdpAssociations;
  #drained: (() => void) | undefined;

  constructor(options: BridgeOptions, events: BridgeEvents) {
    this.#options = options;
    this.#events = events;
    this.#refusals = new Refusals((last, count) => {
      events.failed({ ...last, error: new StpError('EMFILE', 'too many connections'), count });
    });
    this.#udp = {
      flows: new Flows(options.flowsMax, options.flowTimeoutMs),
      rules: () => options.rules,
      connectTimeoutMs: options.connectTimeoutMs,
      readyTimeoutMs: options.handshakeTimeoutMs,
      events,
    };
    this.#associations = new UdpAssociations(this.#udp, options.idleTimeoutMs);
    this.#proxy = new HttpProxy({
      ...options,
      dial: async (target, client, from) => {
        try {
          return await this.#dialRegion(target, client);
        } catch (error) {
          events.failed({ from, to: shownTcp(target), error: error as Error });
          throw error;
        }
      },
    });
  }

  get connections(): number {
    return this.#clients.size;
  }

  /** Begins to listen; rejects with why it can't. */
  async open(forward: Forward): Promise<OpenForward> {
    const opened = await this.#open(forward);
    this.#forwards.add(opened);
    return opened;
  }

  #open(forward: Forward): Promise<OpenForward> | OpenForward {
    if (forward.kind === 'local-udp' || forward.kind === 'remote-udp') return this.#openUdp(forward);
    return 'listen' in forward ? this.#openTcp(forward) : this.#openStp(forward);
  }

  async #openUdp(forward: UdpForward): Promise<OpenForward> {
    const lost = (): void => {
      this.#forwards.delete(opened);
      this.#events.lost(opened.forward);
    };
    const udp =
      forward.kind === 'local-udp' ? await openLocalUdp(forward, this.#udp) : openRemoteUdp(forward, this.#udp, lost);
    const opened: OpenForward = {
      forward: udp.forward,
      close: () => {
        this.#forwards.delete(opened);
        udp.close();
      },
    };
    return opened;
  }

  async #openTcp(forward: Extract<StreamForward, { listen: TcpAddress }>): Promise<OpenForward> {
    const accepted = (socket: Socket): void => {
      const { remoteAddress, remotePort } = socket;
      const from =
        remoteAddress === undefined || remotePort === undefined
          ? shownTcp(forward.listen)
          : shownTcp({ host: remoteAddress, port: remotePort });
      void this.#serve(forward, socket, from);
    };
    const server = await listenTcp(forward.listen, this.#options.keepAliveMs, accepted);
    const address = server.address();
    const listen =
      address === null || typeof address === 'string' || 'path' in forward.listen
        ? forward.listen
        : { host: forward.listen.host, port: address.port };
    const opened: OpenForward = {
      forward: { ...forward, listen },
      close: () => {
        this.#forwards.delete(opened);
        server.close();
      },
    };
    return opened;
  }

  #openStp(forward: Exclude<StreamForward, { listen: TcpAddress }>): OpenForward {
    const listener = new StpListener(forward.port, {
      accepted: (stream, from) => {
        void this.#serve({ ...forward, port: listener.port }, stream, from);
      },
      lost: () => {
        this.#forwards.delete(opened);
        this.#events.lost(opened.forward);
      },
    });
    const opened: OpenForward = {
      forward: { ...forward, port: listener.port },
      close: () => {
        this.#forwards.delete(opened);
        listener.close();
      },
    };
    return opened;
  }

  async #serve(forward: StreamForward, client: Duplex, from: string): Promise<void> {
    client.on('error', () => undefined);
    if (this.#clients.size >= this.#options.connectionsMax) {
      reset(client);
      this.#refusals.add({ from, to: shownForward(forward) });
      return;
    }
    this.#clients.add(client);
    try {
      if (forward.kind === 'http') await this.#proxy.serve(client, from);
      else await this.#forward(forward, client, from);
    } finally {
      this.#clients.delete(client);
      if (this.#clients.size === 0) this.#drained?.();
    }
  }

  async #forward(forward: Exclude<StreamForward, { kind: 'http' }>, client: Duplex, from: string): Promise<void> {
    let to = shownForward(forward);
    let server: Duplex;
    try {
      if (forward.kind === 'local') {
        const { system, port } = forward.to;
        server = await this.#dialRegion({ host: system, port }, client);
      } else if (forward.kind === 'remote') server = await this.#dialTcp(forward.to, client);
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
              ? await this.#dialRegion(request.target, client)
              : await this.#dialTcp(request.target, client);
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
      this.#events.failed({ from, to, error: error as Error });
      await closed(client);
      return;
    }
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

  #dialRegion({ host, port }: Target, client: Duplex): Promise<Duplex> {
    return this.#dial(client, (signal) => {
      const { system, names } = systemOf(host);
      this.#options.rules.check(port, names);
      return connectStp({ system, port }, this.#options.connectTimeoutMs, signal);
    });
  }

  #dialTcp(to: TcpAddress, client: Duplex): Promise<Duplex> {
    return this.#dial(client, (signal) => {
      // A path is what the command line says, never what a client asks for.
      if ('port' in to) this.#options.rules.check(to.port, [to.host]);
      return connectTcp(to, this.#options, signal);
    });
  }

  /** Calls again while nothing listens there, as long as that is asked for and the client waits. */
  async #dial(client: Duplex, call: (signal: AbortSignal) => Promise<Duplex>): Promise<Duplex> {
    const gone = new AbortController();
    const giveUp = (): void => {
      gone.abort();
    };
    client.once('close', giveUp);
    try {
      const endMs = nowMs() + this.#options.retryMs;
      for (let pauseMs = RETRY_FIRST_MS; ; pauseMs = Math.min(RETRY_MAX_MS, pauseMs * 2)) {
        try {
          return await call(gone.signal);
        } catch (error) {
          const again = RETRIED.includes((error as { code?: unknown }).code) && nowMs() + pauseMs < endMs;
          if (!again || client.destroyed) throw error;
        }
        await new Promise((resolve) => setTimeout(resolve, pauseMs));
      }
    } finally {
      client.off('close', giveUp);
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
    for (const client of this.#clients) reset(client);
  }
}

/** Resolves once the stream is closed. */
function closed(stream: Duplex): Promise<void> {
  return new Promise((resolve) => {
    if (stream.closed) resolve();
    else stream.once('close', resolve);
  });
}
