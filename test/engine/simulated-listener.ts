/** A listening socket and its actor. */
import { accept, close, type EngineSocket, listen, stopListening } from '../../src/engine';
import { closeness, isAnyIp } from '../../src/layout';
import { type Connection, fail } from './connection-model';
import { SimulatedOwner } from './simulated-owner';
import { type ActorProcess } from './actor-process';
import { SimulatedSocket } from './simulated-socket';

export class SimulatedListener extends SimulatedOwner {
  /** Requests wait. */
  mayAccept = false;

  constructor(process: ActorProcess, socket: EngineSocket) {
    super(process, socket, 'listening');
    process.listeners.push(this);
  }

  override act(): void {
    const { world } = this.process;
    const { random } = world;
    if (this.mayAccept && (world.draining || random.chance(0.5)))
      while (this.#acceptOne()) if (!world.draining && random.chance(0.5)) break;
    if (!world.draining && random.chance(world.theme.listenerCloseChance)) this.close();
    if (world.draining && this.mayAccept && this.#isFull && random.chance(0.5)) this.close();
  }

  /**
   * No room for an accept, and none will be made: all sockets are closed, with bytes that wait for an accept
   * themselves.
   */
  get #isFull(): boolean {
    const { engine, socketsMax, sockets } = this.process;
    const stuck = sockets.every(({ phase, socket }) => phase === 'closing' && socket.early !== null);
    return stuck && engine.count >= socketsMax;
  }

  close(): void {
    const { world } = this.process;
    for (const pending of this.socket.listener?.queue ?? [])
      world.connections.get(pending.remote.port)?.causes.add('listener closed');
    // Requests may be on their way whose programs are connected already.
    for (const connection of world.connections.values())
      if (connection.queued && !connection.accepted) connection.causes.add('listener closed');
    this.trace('close listener');
    if (this.process.world.random.chance(0.3))
      this.call(() => {
        stopListening(this.process.engine, this.socket);
      });
    if (!this.call(() => close(this.process.engine, this.socket, -1)))
      fail(`${this.name}: a listener does not close at once`);
    this.phase = 'done';
  }

  listen(backlog: number): void {
    this.call(() => {
      listen(this.process.engine, this.socket, backlog);
    });
  }

  #acceptOne(): boolean {
    const { process } = this;
    const { world } = process;
    let accepted: EngineSocket | undefined;
    const first = this.socket.listener?.queue[0]?.remote.port ?? 0;
    try {
      accepted = this.call(() => accept(process.engine, this.socket));
    } catch (error) {
      // EMFILE, ENOSPC: the request is refused.
      world.expect(error, 'EMFILE', 'ENOSPC');
      world.connections.get(first)?.causes.add('no socket for it');
      return false;
    }
    this.mayAccept &&= accepted !== undefined;
    if (accepted === undefined) return false;
    const connection = world.connections.get(accepted.remote.port);
    if (connection === undefined) return fail(`${this.name}: accepted nobody`);
    if (connection.accepted) this.#acceptAgain(connection);
    connection.accepted = true;
    connection.server = process.process;
    this.#checkReach(connection);
    connection.serverIp =
      connection.calledIp === '' && !isAnyIp(this.socket.reach) ? this.socket.reach : connection.calledIp;
    world.tally.accepted++;
    const socket = new SimulatedSocket(process, accepted, 'open');
    socket.hold(connection.ends[1]);
    socket.beginAccepted();
    connection.ends[1].checkIps(accepted);
    socket.trace('accepted');
    return true;
  }

  /** A request is for the address that was called. */
  #checkReach({ calledIp }: Connection): void {
    if (closeness(this.socket.reach, calledIp) === 0)
      fail(`${this.name}: listens at "${this.socket.reach}", and was called at "${calledIp}"`);
  }

  /** Only where several share a port: one accepted, and died before its client knew. */
  #acceptAgain(connection: Connection): void {
    const { world } = this.process;
    const lost = world.processes[connection.server - 1]?.dead === true;
    if (!connection.shared || !lost || (connection.ends[0].sent > 0 && !connection.queued))
      fail(`${this.name}: accepted the request of connection ${connection.id} twice`);
    connection.beginAgain();
  }

  override acceptable(): void {
    this.told('acceptable', 'listening');
    if ((this.socket.listener?.queue.length ?? 0) === 0) fail(`${this.name}: told of requests, none waits`);
    this.mayAccept = true;
    this.react();
  }
}
