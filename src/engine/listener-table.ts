/** The listening sockets of this process, found by what a client calls: port, group and IP address. */
import { closeness } from '../layout';
import { type EngineSocket } from './socket';

const NONE: readonly EngineSocket[] = [];

export class ListenerTable {
  /** By port; several where they listen at different addresses, or for different groups. */
  readonly #ports = new Map<number, EngineSocket[]>();

  /** Ports at which any listens. */
  get size(): number {
    return this.#ports.size;
  }

  add(socket: EngineSocket): void {
    const { port } = socket.local;
    const there = this.#ports.get(port);
    if (there === undefined) this.#ports.set(port, [socket]);
    else if (!there.includes(socket)) there.push(socket);
  }

  delete(socket: EngineSocket): void {
    const { port } = socket.local;
    const left = this.at(port).filter((other) => other !== socket);
    if (left.length > 0) this.#ports.set(port, left);
    else this.#ports.delete(port);
  }

  /** The one that is closest to `ip`; '': the first of the port. */
  find(group: string, port: number, ip: string): EngineSocket | undefined {
    let best: EngineSocket | undefined;
    let bestCloseness = 0;
    for (const socket of this.at(port)) {
      const close = socket.local.group === group ? closeness(socket.reach, ip) : 0;
      if (close <= bestCloseness) continue;
      best = socket;
      bestCloseness = close;
    }
    return best;
  }

  /** All of a port, whatever their group and address. */
  at(port: number): readonly EngineSocket[] {
    return this.#ports.get(port) ?? NONE;
  }

  *values(): Generator<EngineSocket> {
    for (const sockets of this.#ports.values()) yield* sockets;
  }
}
