/** How the clients of the benches reach a server. */
import type http from 'node:http';
import net from 'node:net';
import { HOST } from './server';

/** A port, or the path of a Unix socket. */
export type Target = number | string;

export function connect(target: Target): Promise<net.Socket> {
  return new Promise((resolve, reject) => {
    const socket = typeof target === 'string' ? net.connect(target) : net.connect(target, HOST);
    socket.setNoDelay(true);
    socket.once('error', reject);
    socket.once('connect', () => {
      resolve(socket);
    });
  });
}

/** The same for requests. */
export function requestOptions(target: Target): http.RequestOptions {
  return typeof target === 'string' ? { socketPath: target } : { host: HOST, port: target };
}
