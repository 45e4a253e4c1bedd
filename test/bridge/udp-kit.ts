/** Clients and servers of UDP, and bridges between them. */
import dgram from 'node:dgram';
import { once } from 'node:events';
import { type Test } from 'tap';
import { BridgeProcess, HOST } from './kit';

const BUFFER_BYTES = 1_048_576;

/** A socket of UDP that keeps what has come until it is asked for. */
export class UdpPeer {
  readonly socket = dgram.createSocket({ type: 'udp4', recvBufferSize: BUFFER_BYTES });
  readonly received: Buffer[] = [];
  #taken = 0;
  #came: () => void = () => undefined;

  constructor(test: Test) {
    this.socket.on('message', (datagram) => {
      this.received.push(datagram);
      this.#came();
    });
    this.socket.on('error', () => undefined);
    test.teardown(() => {
      this.socket.close();
    });
  }

  async bind(port = 0): Promise<number> {
    this.socket.bind(port, HOST);
    await once(this.socket, 'listening');
    return this.socket.address().port;
  }

  send(datagram: Uint8Array | string, port: number): void {
    this.socket.send(datagram, port, HOST);
  }

  /** The next datagram in order. */
  async next(): Promise<Buffer> {
    for (;;) {
      const datagram = this.received[this.#taken];
      if (datagram !== undefined) {
        this.#taken += 1;
        return datagram;
      }
      await new Promise<void>((resolve) => (this.#came = resolve));
    }
  }

  /** Sends, and waits for one answer. */
  ask(datagram: Uint8Array | string, port: number): Promise<Buffer> {
    this.send(datagram, port);
    return this.next();
  }
}

/** A port at which nothing listens. */
export async function freeUdpPort(): Promise<number> {
  const socket = dgram.createSocket('udp4');
  socket.bind(0, HOST);
  await once(socket, 'listening');
  const { port } = socket.address();
  socket.close();
  await once(socket, 'close');
  return port;
}

/** A server; `answer` says what goes back. What it has received is in order. */
export async function serveUdp(
  test: Test,
  answer: (datagram: Buffer) => Buffer = (datagram) => datagram,
): Promise<{ port: number; server: UdpPeer }> {
  const server = new UdpPeer(test);
  server.socket.on('message', (datagram, { port, address }) => {
    server.socket.send(answer(datagram), port, address);
  });
  return { port: await server.bind(), server };
}

export interface UdpBridges {
  /** Where clients send to. */
  readonly port: number;
  /** Of the far system in the region. */
  readonly stpPort: number;
  readonly near: BridgeProcess;
  readonly far: BridgeProcess;
}

/** A server of UDP behind two bridges of two systems, which have nothing but the region between them. */
export async function udpBehindTwo(
  test: Test,
  region: string,
  serverPort: number,
  args: { readonly near?: readonly string[]; readonly far?: readonly string[] } = {},
): Promise<UdpBridges> {
  const far = new BridgeProcess(test, region, ['-R', `udp:0:${HOST}:${serverPort}`, ...(args.far ?? [])], {
    STP_SYSTEM: 'far',
  });
  const [stpPort = 0] = await far.ports(1);
  const near = new BridgeProcess(test, region, ['-U', `0:far:${stpPort}`, ...(args.near ?? [])], {
    STP_SYSTEM: 'near',
  });
  const [port = 0] = await near.ports(1);
  return { port, stpPort, near, far };
}

/** How many events of a kind a bridge has told so far. */
export function told(bridge: BridgeProcess, event: string): number {
  return bridge.told.filter((one) => one.event === event).length;
}
