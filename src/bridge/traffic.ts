/**
 * What went through a forward: connections, refusals, and bytes each way. Each connection has one TCP side, and Node
 * counts the bytes there, so that counting costs nothing while they move.
 */
import { Socket } from 'node:net';
import { type Duplex } from 'node:stream';

export interface TrafficCounts {
  /** Connections now. */
  readonly connections: number;
  /** Connections since the forward is there. */
  readonly accepted: number;
  /** Of them those that did not come about. */
  readonly refused: number;
  /** From clients to servers, and back. */
  readonly sentBytes: number;
  readonly receivedBytes: number;
}

export class Traffic {
  #accepted = 0;
  #refused = 0;
  /** Of connections that have ended. */
  #sentBytes = 0;
  #receivedBytes = 0;
  /** Clients that are connected, each with its TCP side once there is one. */
  readonly #clients = new Map<Duplex, Socket | undefined>();

  began(client: Duplex): void {
    this.#accepted += 1;
    this.#clients.set(client, client instanceof Socket ? client : undefined);
  }

  reached(client: Duplex, server: Duplex): void {
    if (server instanceof Socket && this.#clients.has(client)) this.#clients.set(client, server);
  }

  refused(): void {
    this.#refused += 1;
  }

  ended(client: Duplex): void {
    const { sentBytes, receivedBytes } = bytesOf(client, this.#clients.get(client));
    this.#sentBytes += sentBytes;
    this.#receivedBytes += receivedBytes;
    this.#clients.delete(client);
  }

  get counts(): TrafficCounts {
    let [sentBytes, receivedBytes] = [this.#sentBytes, this.#receivedBytes];
    for (const [client, tcp] of this.#clients) {
      const live = bytesOf(client, tcp);
      sentBytes += live.sentBytes;
      receivedBytes += live.receivedBytes;
    }
    return {
      connections: this.#clients.size,
      accepted: this.#accepted,
      refused: this.#refused,
      sentBytes,
      receivedBytes,
    };
  }
}

function bytesOf(client: Duplex, tcp: Socket | undefined): { sentBytes: number; receivedBytes: number } {
  if (tcp === undefined) return { sentBytes: 0, receivedBytes: 0 };
  const { bytesRead, bytesWritten } = tcp;
  return tcp === client
    ? { sentBytes: bytesRead, receivedBytes: bytesWritten }
    : { sentBytes: bytesWritten, receivedBytes: bytesRead };
}
