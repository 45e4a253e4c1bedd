/**
 * The PROXY protocol in a bridge: headers that clients begin with, and headers that targets get, so that a server
 * learns the address of the first client.
 *
 * Invariant: where headers are wanted, nothing of a client gets to a target before its header was read.
 */
import { isIP, Socket } from 'node:net';
import { type Duplex } from 'node:stream';
import { STPgethostbyname } from '../index';
import { clearTimeout, setTimeout } from '../host';
import { plainAddress } from './address';
import { type ProxyEnds, proxyHeader, type ProxyVersion, readProxyHeader } from './proxy-header';
import { type Target } from './rules';
import { StpStream } from './stp-stream';
import { reset } from './tcp';

/** Where a connection comes from: TCP (-L, -D, -H), or the region (-R). */
export type Side = 'local' | 'remote';

export interface ProxyProtocolOptions {
  /** Clients of these sides begin with a header. */
  readonly acceptProxy: ReadonlySet<Side>;
  /** Targets of connections from these sides get one. */
  readonly sendProxy: ReadonlyMap<Side, ProxyVersion>;
  readonly handshakeTimeoutMs: number;
}

export class ProxyProtocol {
  readonly #options: () => ProxyProtocolOptions;
  readonly #ends = new WeakMap<Duplex, ProxyEnds | undefined>();

  /** `options`: as they are now. */
  constructor(options: () => ProxyProtocolOptions) {
    this.#options = options;
  }

  accepts(side: Side): boolean {
    return this.#options().acceptProxy.has(side);
  }

  /** Reads the header of a client; its address, where it tells one. Rejects where it is wrong, or does not come. */
  async accept(client: Duplex): Promise<Target | undefined> {
    const timer = setTimeout(() => {
      reset(client);
    }, this.#options().handshakeTimeoutMs);
    try {
      const ends = await readProxyHeader(client);
      this.#ends.set(client, ends);
      return ends?.source;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Sends a header to the target of a client, where one is wanted. */
  greet(side: Side, client: Duplex, server: Duplex): void {
    const version = this.#options().sendProxy.get(side);
    if (version === undefined) return;
    const ends = this.#ends.has(client) ? this.#ends.get(client) : endsOf(client);
    server.write(proxyHeader(version, ends));
  }
}

/** The addresses of a connection that came without a header. */
function endsOf(client: Duplex): ProxyEnds | undefined {
  const ends =
    client instanceof Socket ? tcpEnds(client) : client instanceof StpStream ? regionEnds(client) : undefined;
  const isWhole = ends !== undefined && isIP(ends.source.host) > 0;
  return isWhole && isIP(ends.source.host) === isIP(ends.destination.host) ? ends : undefined;
}

function tcpEnds({ remoteAddress, remotePort, localAddress, localPort }: Socket): ProxyEnds | undefined {
  if (remoteAddress === undefined || remotePort === undefined) return undefined;
  if (localAddress === undefined || localPort === undefined) return undefined;
  return {
    source: { host: plainAddress(remoteAddress), port: remotePort },
    destination: { host: plainAddress(localAddress), port: localPort },
  };
}

/** Each system of the region has an IPv6 address. */
function regionEnds({ peer, own }: StpStream): ProxyEnds | undefined {
  try {
    return {
      source: { host: STPgethostbyname(peer.system).ipv6, port: peer.port },
      destination: { host: STPgethostbyname(own.system).ipv6, port: own.port },
    };
  } catch {
    // The peer's system has left the region meanwhile.
    return undefined;
  }
}
