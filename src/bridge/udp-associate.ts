/**
 * UDP ASSOCIATE of SOCKS 5: a socket of UDP for one client, for as long as its TCP connection lasts.
 *
 * It takes datagrams of the client's address alone, and of one port: the one that the client has named, else the one
 * that its first datagram comes from. So another user of the same host gets in only where it is the first, and then the
 * client notices. Each target has a flow of its own.
 */
import type dgram from 'node:dgram';
import net from 'node:net';
import { type Duplex } from 'node:stream';
import { StpError } from '../errors';
import { watchIdle, whenEnded } from './join';
import { type SocksRequest } from './socks';
import { plainAddress, shownStp } from './address';
import { finish, reset } from './tcp';
import { UdpClientSide, type UdpSettings } from './udp-client-side';
import { bindUdp, hasRoom } from './udp-socket';
import { readSocksDatagram } from './udp-socks';

/** What is told of a relay as a whole; its flows are told by themselves. */
const RELAY = 'UDP, by SOCKS';

export class UdpAssociations {
  readonly #settings: UdpSettings;
  readonly #idleTimeoutMs: () => number;
  readonly #relays = new Map<Duplex, Relay>();

  constructor(settings: UdpSettings, idleTimeoutMs: () => number) {
    this.#settings = settings;
    this.#idleTimeoutMs = idleTimeoutMs;
  }

  /** Answers the request, and resolves when the client has gone; rejects where there can be no relay. */
  async serve(client: Duplex, request: SocksRequest, from: string): Promise<void> {
    let socket: dgram.Socket;
    try {
      // A Unix socket, or a stream of the region, comes from no address that could send datagrams here.
      if (!(client instanceof net.Socket) || client.localAddress === undefined)
        throw new StpError('EOPNOTSUPP', 'UDP for a client that does not come by TCP', 'SOCKS');
      socket = await bindUdp(plainAddress(client.localAddress), 0);
    } catch (error) {
      request.answer(String((error as { code?: unknown }).code));
      throw error;
    }
    const relay = new Relay(socket, { settings: this.#settings, from, expected: expectedOf(client, request) });
    const { address, port } = socket.address();
    request.answer(undefined, { host: address, port });
    this.#relays.set(client, relay);
    await this.#untilGone(client, relay);
    this.#relays.delete(client);
    relay.end();
    const { droppedDatagrams } = relay;
    this.#settings.events.closed({ from, to: RELAY, sentBytes: 0, receivedBytes: 0, droppedDatagrams });
  }

  #untilGone(client: Duplex, relay: Relay): Promise<void> {
    return new Promise((resolve) => {
      if (client.closed) {
        resolve();
        return;
      }
      const stopWatching = watchIdle(
        () => relay.datagrams,
        this.#idleTimeoutMs(),
        () => {
          reset(client);
        },
      );
      client.once('close', () => {
        stopWatching();
        resolve();
      });
      whenEnded(client, () => {
        client.end();
      });
      // Nothing is said on it any more.
      client.resume();
    });
  }

  end(): void {
    for (const [client, relay] of this.#relays) {
      relay.end();
      finish(client);
    }
  }
}

interface Expected {
  readonly address: string;
  /** 0: that of the first datagram. */
  readonly port: number;
}

/** A port counts only beside the address that the client has. */
function expectedOf(client: net.Socket, { target }: SocksRequest): Expected {
  const address = plainAddress(client.remoteAddress ?? '');
  return { address, port: plainAddress(target.host) === address ? target.port : 0 };
}

interface RelayOptions {
  readonly settings: UdpSettings;
  readonly from: string;
  readonly expected: Expected;
}

class Relay {
  readonly #socket: dgram.Socket;
  readonly #from: string;
  readonly #side: UdpClientSide;
  readonly #address: string;
  #port: number;
  #hasEnded = false;
  /** In both directions. */
  datagrams = 0;
  /** Those that were none of SOCKS, and answers that the socket did not take. */
  droppedDatagrams = 0;

  constructor(socket: dgram.Socket, { settings, from, expected }: RelayOptions) {
    this.#socket = socket;
    this.#from = from;
    this.#side = new UdpClientSide(settings);
    this.#address = expected.address;
    this.#port = expected.port;
    socket.on('message', (bytes, { address, port }) => {
      if (plainAddress(address) === this.#address && (this.#port === 0 || this.#port === port))
        this.#relay(bytes, port);
      else this.droppedDatagrams += 1;
    });
  }

  #relay(bytes: Buffer, port: number): void {
    const read = readSocksDatagram(bytes);
    if (read === undefined) {
      this.droppedDatagrams += 1;
      return;
    }
    this.#port = port;
    this.datagrams += 1;
    const { target, header, datagram } = read;
    this.#side.send(header.toString('latin1'), datagram, () => {
      // Of its own: the rest of the datagram needs not be kept for it.
      const ownHeader = Buffer.from(header);
      return {
        from: this.#from,
        to: `${shownStp({ system: target.host, port: target.port })}/udp`,
        target,
        answer: (answer) => {
          this.#answer(ownHeader, answer);
        },
      };
    });
  }

  #answer(header: Buffer, datagram: Buffer): void {
    this.datagrams += 1;
    if (hasRoom(this.#socket))
      this.#socket.send([header, datagram], this.#port, this.#address, (error) => {
        // The header may be what makes it too long.
        if (error !== null) this.droppedDatagrams += 1;
      });
    else this.droppedDatagrams += 1;
  }

  end(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#side.end();
    this.#socket.close();
  }
}
