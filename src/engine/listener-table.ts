/** The listening sockets of this process, found by what a client calls: group, port and IP address. */
import { closeness } from '../layout';
import { type EngineSocket } from './socket';

export class ListenerTable {
  /** By `group:port`; several where they listen at different addresses. */
  readonly #ports = new Map<string, EngineSocket[]>();

  get size(): number {
    return this.#ports.size;
  }

  add(socket: EngineSocket): void {
    const key = keyOf(socket.local.group, socket.local.port);
    const there = this.#ports.get(key);
    if (there === undefined) this.#ports.set(key, [socket]);
    else if (!there.includes(socket)) there.push(socket);
  }

  delete(socket: EngineSocket): void {
    const key = keyOf(socket.local.group, socket.local.port);
    const left = this.#ports.get(key)?.filter((other) => other !== socket) ?? [];
    if (left.length > 0) this.#ports.set(key, left);
    else this.#ports.delete(key);
  }

  /** The one that is closest to `ip`; '': the first of the port. */
  find(group: string, port: number, ip: string): EngineSocket | undefined {
    let best: EngineSocket | undefined;
    let bestCloseness = 0;
    for (const socket of this.#ports.get(keyOf(group, port)) ?? []) {
      const close = closeness(socket.reach, ip);
      if (close <= bestCloseness) continue;
      best = socket;
      bestCloseness = close;
    }
    return best;
  }

  *values(): Generator<EngineSocket> {
    for (const sockets of this.#ports.values()) yield* sockets;
  }
}

function keyOf(group: string, port: number): string {
  return `${group}:${port}`;
}
