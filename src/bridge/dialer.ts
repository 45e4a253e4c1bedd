/**
 * How a bridge calls targets: rules first, again and again while nothing listens there, as long as that is asked for.
 *
 * Invariant: what is connected is allowed by the rules of now. A change of rules resets the rest.
 */
import { type Duplex } from 'node:stream';
import { nowMs, setTimeout } from '../host';
import { type TcpAddress } from './address';
import { type Target, type TargetRules } from './rules';
import { connectStp } from './stp-stream';
import { systemOf } from './system-names';
import { connectTcp, reset } from './tcp';

export interface DialOptions {
  readonly rules: TargetRules;
  readonly connectTimeoutMs: number;
  /** How long a target that refuses is called again. */
  readonly retryMs: number;
  /** TCP keep-alive after so long a silence; 0: none. */
  readonly keepAliveMs: number;
}

/** A call of a target, before it is made. */
interface Call {
  /** Throws where the rules of now don't allow it. */
  readonly check: () => void;
  readonly connect: (signal: AbortSignal) => Promise<Duplex>;
}

const RETRY_FIRST_MS = 50;
const RETRY_MAX_MS = 1000;
const RETRIED: readonly unknown[] = ['ECONNREFUSED', 'EHOSTUNREACH', 'ENOENT'];

export class Dialer {
  readonly #options: () => DialOptions;
  /** The connections to targets, each with the check of its target. */
  readonly #servers = new Map<Duplex, () => void>();

  /** `options`: as they are now. */
  constructor(options: () => DialOptions) {
    this.#options = options;
  }

  /** A port of a system of the region. */
  region({ host, port }: Target, client: Duplex): Promise<Duplex> {
    return this.#dial(client, () => {
      const { system, names } = systemOf(host);
      return {
        check: () => {
          this.#options().rules.check(port, names);
        },
        connect: (signal) => connectStp({ system, port }, this.#options().connectTimeoutMs, signal),
      };
    });
  }

  tcp(to: TcpAddress, client: Duplex): Promise<Duplex> {
    return this.#dial(client, () => ({
      check: () => {
        // A path is what the command line says, never what a client asks for.
        if ('port' in to) this.#options().rules.check(to.port, [to.host]);
      },
      connect: (signal) => connectTcp(to, this.#options(), signal),
    }));
  }

  /** Gives up where the client goes. */
  async #dial(client: Duplex, callOf: () => Call): Promise<Duplex> {
    const gone = new AbortController();
    const giveUp = (): void => {
      gone.abort();
    };
    client.once('close', giveUp);
    try {
      const endMs = nowMs() + this.#options().retryMs;
      for (let pauseMs = RETRY_FIRST_MS; ; pauseMs = Math.min(RETRY_MAX_MS, pauseMs * 2)) {
        try {
          const { check, connect } = callOf();
          check();
          const server = await connect(gone.signal);
          this.#keepChecked(server, check);
          return server;
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

  /** As long as it is connected. Rules may have changed while it was being connected. */
  #keepChecked(server: Duplex, check: () => void): void {
    try {
      check();
    } catch (error) {
      server.on('error', () => undefined);
      reset(server);
      throw error;
    }
    this.#servers.set(server, check);
    server.once('close', () => {
      this.#servers.delete(server);
    });
  }

  /** Resets the connections to targets that are not allowed any more. */
  checkAgain(): void {
    for (const [server, check] of this.#servers) {
      try {
        check();
      } catch {
        reset(server);
      }
    }
  }
}
