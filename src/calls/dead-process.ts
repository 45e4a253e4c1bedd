/**
 * What a process of this kernel had read of what our sockets sent it, told from its log and its socket control blocks,
 * after its death.
 */
import { type EngineSocket, type Remains } from '../engine';
import { type Leftovers } from '../link';
import { type ScbValues } from '../region';

export class DeadProcess implements Remains {
  readonly #left: Leftovers;

  constructor(left: Leftovers) {
    this.#left = left;
  }

  hasUnread(socket: EngineSocket): boolean {
    const { unread } = this.#left;
    if (unread?.has(socket.index) === true) return true;
    const scb = this.#scb(socket);
    // One that was not written yet is of a connection that has just begun.
    if (scb === undefined) return unread === undefined && socket.bytesSent > 0;
    if (scb.receiveQueuedBytes > 0) return true;
    return unread === undefined && scb.bytesReceived < socket.bytesSent;
  }

  #scb(socket: EngineSocket): ScbValues | undefined {
    const scb = this.#left.blocks?.(socket.remoteSocket);
    return scb?.generation === socket.remoteGeneration ? scb : undefined;
  }
}
