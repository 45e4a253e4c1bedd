/**
 * Requests of this process whose programs were told that they are connected, and which no listener has answered yet: so
 * many per listener, for that is what its backlog is for. A request counts until its answer, also where its socket is
 * closed before that.
 */
import { type Peer } from './peer';
import { type EngineSocket } from './socket';

interface Place {
  readonly key: string;
  /** The process that will answer it; null while none has it. */
  peer: Peer | null;
}

/** A socket over all times: no two of a process have one index and one generation. */
export function nameOf(index: number, generation: number): string {
  return `${index}.${generation}`;
}

export class QueuedCounts {
  readonly #places = new Map<string, Place>();
  readonly #counts = new Map<string, number>();

  /** Takes a place at the listener `key`; false where there is none. */
  take(socket: EngineSocket, key: string, backlog: number): boolean {
    const name = nameOf(socket.index, socket.generation);
    if (this.#places.has(name)) return true;
    const count = this.#counts.get(key) ?? 0;
    if (count >= backlog) return false;
    this.#places.set(name, { key, peer: null });
    this.#counts.set(key, count + 1);
    return true;
  }

  /** `peer` will answer, or no process (null). */
  sent(socket: EngineSocket, peer: Peer | null): void {
    const place = this.#places.get(nameOf(socket.index, socket.generation));
    if (place !== undefined) place.peer = peer;
  }

  /** The socket ends: its place is free, unless a listener still has the request. */
  dropped(socket: EngineSocket): void {
    const name = nameOf(socket.index, socket.generation);
    if (this.#places.get(name)?.peer === null) this.#free(name);
  }

  settled(index: number, generation: number): void {
    if (this.#places.size > 0) this.#free(nameOf(index, generation));
  }

  lost(peer: Peer): void {
    for (const [name, place] of this.#places) if (place.peer === peer) this.#free(name);
  }

  #free(name: string): void {
    const place = this.#places.get(name);
    if (place === undefined) return;
    this.#places.delete(name);
    const count = (this.#counts.get(place.key) ?? 1) - 1;
    if (count > 0) this.#counts.set(place.key, count);
    else this.#counts.delete(place.key);
  }

  get size(): number {
    return this.#places.size;
  }
}
