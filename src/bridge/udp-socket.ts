/** Sockets of UDP, Node's own: bound or connected, and with a limit to what waits to be sent. */
import dgram from 'node:dgram';
import dns from 'node:dns';
import { isIPv6 } from 'node:net';

/** Room for bursts, where the system gives it. */
const RECEIVE_BUFFER_BYTES = 1_048_576;
/** With more waiting in a socket, the next datagram is dropped. */
const WAITING_MAX_BYTES = 262_144;

function socketFor(address: string): dgram.Socket {
  return dgram.createSocket({ type: isIPv6(address) ? 'udp6' : 'udp4' });
}

/** Bound to an IP address; `::` is all of IPv4 too. */
export function bindUdp(address: string, port: number): Promise<dgram.Socket> {
  return new Promise((resolve, reject) => {
    const socket = socketFor(address);
    const failed = (error: Error): void => {
      socket.close();
      reject(error);
    };
    socket.once('error', failed);
    socket.bind({ address, port, exclusive: true }, () => {
      socket.off('error', failed);
      // What a client's host says (no such port) is nothing to the other clients.
      socket.on('error', () => undefined);
      widen(socket);
      resolve(socket);
    });
  });
}

/**
 * Connected, so that the system lets through what comes from there alone, and says when nothing listens. Of a name with
 * both kinds of addresses, an IPv4 address is taken: UDP can't find out which one answers.
 */
export async function connectUdp(host: string, port: number): Promise<dgram.Socket> {
  const { address } = await dns.promises.lookup(host, { verbatim: false });
  return new Promise((resolve, reject) => {
    const socket = socketFor(address);
    const failed = (error: Error): void => {
      socket.close();
      reject(error);
    };
    socket.once('error', failed);
    socket.once('connect', () => {
      socket.off('error', failed);
      widen(socket);
      resolve(socket);
    });
    socket.connect(port, address);
  });
}

function widen(socket: dgram.Socket): void {
  try {
    socket.setRecvBufferSize(RECEIVE_BUFFER_BYTES);
  } catch {
    // It is a wish.
  }
}

/** True where another datagram may be given to the socket. */
export function hasRoom(socket: dgram.Socket): boolean {
  return socket.getSendQueueSize() <= WAITING_MAX_BYTES;
}
