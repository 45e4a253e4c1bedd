/**
 * One socket of a simulated process and the actor that uses it at random, within what the STP calls allow: how it
 * connects, is given and taken, and closes. What it sends and reads is in simulated-stream.ts, and whether what it is
 * told may be in socket-verdicts.ts.
 */
import { close, type EngineSocket, give } from '../../src/engine';
import { errnoOf } from '../../src/errors';
import { type End, fail, type Gift } from './connection-model';
import { type Phase } from './simulated-owner';
import { SimulatedStream } from './simulated-stream';
import { type ActorProcess } from './actor-process';
import {
  checkDelivered,
  checkRefusal,
  checkTakeFailed,
  connectedEarly,
  excuseLost,
  handedOver,
  serverFull,
} from './socket-verdicts';

export class SimulatedSocket extends SimulatedStream {
  gift: Gift | null = null;
  /** A take that has to succeed unless something happens to the connection. */
  rightTake = false;
  connectLimited = false;
  lingers = false;

  constructor(process: ActorProcess, socket: EngineSocket, phase: Phase) {
    super(process, socket, phase);
    process.sockets.push(this);
  }

  override get name(): string {
    const { index, generation } = this.socket;
    return `p${this.process.process} s${index}.${generation} ${this.end?.name ?? ''} ${this.phase}`;
  }

  hold(end: End): void {
    this.end = end;
    end.socket = this.socket;
    end.process = this.process.process;
  }

  /** What came before the accept is there to be read, without a notice. */
  beginAccepted(): void {
    const { socket } = this;
    this.mayRead = socket.receivable;
    if (socket.resetErrno === 0) return;
    this.resetSeen = true;
    this.toSend = 0;
    if (this.end?.connection.mayReset !== true)
      fail(`${this.name}: accepted, and reset (${socket.resetErrno}) for no reason`);
  }

  // --- what the actor does ---

  override act(): void {
    const { world } = this.process;
    if (this.phase === 'connecting') this.#actConnecting();
    else if (this.phase === 'given') this.#actGiven();
    else if (this.phase === 'open') {
      if (world.draining) this.#finish();
      else this.#actOpen();
    }
  }

  #actConnecting(): void {
    const { random, theme, draining } = this.process.world;
    // A server whose table is full of clients of its own may never accept.
    if (random.chance(draining ? (serverFull(this) ? 0.5 : 0) : theme.giveUpChance)) this.#closeNow('gave up');
  }

  #actGiven(): void {
    const { random, theme, draining } = this.process.world;
    // It moves when it is accepted, which a server without room may never do.
    const stuck = draining && this.socket.early !== null && serverFull(this);
    if (random.chance(stuck ? 0.5 : theme.giverCloseChance)) this.#closeNow('giver closed');
  }

  #actOpen(): void {
    const { random, theme } = this.process.world;
    if (this.resetSeen) {
      if (random.chance(0.5)) this.#closeNow(null);
      else this.read();
    } else if (random.chance(theme.giveChance)) this.give();
    else if (random.chance(theme.hardCloseChance)) this.close(0);
    else if (random.chance(theme.closeChance)) this.close(random.chance(0.3) ? random.between(1, 200) : -1);
    else if (random.chance(theme.shutdownChance)) this.shutdown(random.chance(0.1), random.chance(0.9));
    else if (random.chance(0.5)) this.write();
    else this.read();
  }

  /** The end of a schedule: everyone sends the rest, reads all, closes. */
  #finish(): void {
    const { end } = this;
    if (end === null) return;
    if (this.mayRead) this.read();
    if (this.phase !== 'open') return;
    // As one that is not connected yet.
    if (this.socket.early !== null && serverFull(this) && this.process.world.random.chance(0.5)) {
      this.#closeNow('gave up', 0);
      return;
    }
    this.toSend = Math.min(this.toSend, 2000);
    if (this.resetSeen) {
      if (!this.mayRead || this.process.world.random.chance(0.2)) this.#closeNow(null);
    } else if (this.toSend > 0 && !end.finSent) this.write();
    else if (!end.finSent) this.shutdown(false, true);
    else if (end.eofSeen || end.deaf) this.close(-1);
  }

  close(lingerMs: number): void {
    const { end, socket } = this;
    if (end === null) return;
    const { causes } = end.connection;
    if (lingerMs === 0) causes.add('reset by its owner');
    if (lingerMs > 0) {
      causes.add('linger limit');
      this.lingers = true;
    }
    if (socket.received.lengthBytes > 0) causes.add('closed with unread bytes');
    this.#closeNow(null, lingerMs);
  }

  #closeNow(cause: string | null, lingerMs = -1): void {
    const { end, process } = this;
    if (end !== null) {
      if (cause !== null) end.connection.causes.add(cause);
      // What was given goes on in the hands of its taker, if there is one by now.
      if (this.phase !== 'given') end.finSent = end.closed = true;
    }
    this.trace(`close ${lingerMs}${cause === null ? '' : ` (${cause})`}`);
    if (this.gift !== null) this.gift.offered = false;
    this.phase = 'closing';
    if (this.call(() => close(process.engine, this.socket, lingerMs))) this.#over();
  }

  give(): void {
    const { end, process } = this;
    const { world } = process;
    if (end === null || this.resetSeen || !this.socket.connected) return;
    const client = world.random.chance(0.3) ? world.random.between(1, world.processes.length) : 0;
    const secret = this.call(() => give(process.engine, this.socket, client, world.random.pick([3, 30, 400])));
    this.gift = {
      end,
      process: process.process,
      epoch: process.epoch,
      socket: this.socket.index,
      generation: this.socket.generation,
      secret: Uint8Array.from(secret),
      client,
      offered: true,
      committed: false,
      committedTick: 0,
      tries: 0,
      won: false,
    };
    this.phase = 'given';
    this.trace('give');
    world.gifts.push(this.gift);
    world.tally.given++;
  }

  /** The socket is released. */
  #over(): void {
    if (this.process.engine.sockets[this.socket.index] === this.socket)
      fail(`${this.name}: closed, but still in the table`);
    if (this.pendingSends > 0) fail(`${this.name}: ${this.pendingSends} sends are forgotten`);
    this.phase = 'done';
  }

  // --- SocketOwner ---

  override connected(errno: number): void {
    this.told(`connected ${errno}`, 'connecting');
    const { world } = this.process;
    const connection = this.end?.connection;
    this.phase = 'open';
    if (errno === 0) {
      if (connection === undefined) fail(`${this.name}: connected to nothing`);
      if (this.socket.early !== null) connectedEarly(this, connection);
      else if (!connection.accepted) fail(`${this.name}: connected, and nobody accepted`);
      world.tally.connected++;
      if (connection.shared) world.tally.connectedShared++;
    } else {
      checkRefusal(this, errno, connection, this.connectLimited);
      this.resetSeen = true;
    }
    this.react();
  }

  override reset(): void {
    this.told('reset', 'open', 'given');
    const { end, socket } = this;
    if (this.resetSeen) fail(`${this.name}: reset twice`);
    if (this.pendingSends > 0) fail(`${this.name}: reset, and ${this.pendingSends} sends wait on`);
    this.resetSeen = true;
    this.process.world.tally.resets++;
    if (this.phase === 'given') {
      if (socket.resetErrno === errnoOf('ETIMEDOUT')) end?.connection.causes.add('give ran out');
      if (this.gift !== null) this.gift.offered = false;
    }
    this.phase = 'open';
    if (socket.resetErrno === errnoOf('ESTPCORRUPT')) fail(`${this.name}: ESTPCORRUPT`);
    const connection = end?.connection;
    if (connection !== undefined) excuseLost(this, connection);
    if (connection?.mayReset !== true) fail(`${this.name}: reset (${socket.resetErrno}) for no reason`);
    this.mayRead = true;
    this.toSend = 0;
    this.react();
  }

  override closed(errno: number): void {
    this.told(`closed ${errno}`, 'closing');
    const { end } = this;
    const { tally } = this.process.world;
    this.#over();
    if (end === null) return;
    if (errno === 0) {
      if (this.gift === null) checkDelivered(this, end);
      else handedOver(this, this.gift);
      tally.delivered++;
      return;
    }
    tally.closeFailed++;
    if (errno === errnoOf('ESTPCORRUPT')) fail(`${this.name}: ESTPCORRUPT`);
    // An end that was closed before its process died may have known of all, and may not.
    excuseLost(this, end.connection);
    const unknown = this.process.world.processes[end.other.process - 1]?.dead === true;
    if (!end.connection.mayReset && !unknown) fail(`${this.name}: close failed with ${errno} for no reason`);
    if (errno === errnoOf('ETIMEDOUT') && !this.lingers) fail(`${this.name}: a limit nobody set`);
  }

  override taken(taken: boolean): void {
    this.told(`taken ${taken}`, 'given');
    const { gift } = this;
    const { world } = this.process;
    if (gift === null) return;
    if (taken) {
      handedOver(this, gift);
      this.#over();
      return;
    }
    gift.offered = false;
    this.phase = 'open';
    this.gift = null;
    world.tally.rolledBack++;
    this.react();
  }

  override took(errno: number): void {
    this.told(`took ${errno}`, 'taking');
    const { gift, process } = this;
    const { world } = process;
    if (gift === null) return;
    if (errno !== 0) {
      checkTakeFailed(this, gift, errno, this.rightTake);
      this.#over();
      return;
    }
    if (!this.rightTake) fail(`${this.name}: took what was not given to it`);
    if (gift.won) fail(`${this.name}: took a socket that was taken already`);
    gift.won = true;
    this.gift = null;
    this.phase = 'open';
    this.hold(gift.end);
    const { local, remote } = this.socket;
    const { connection, side } = gift.end;
    if ((side === 0 ? local.port : remote.port) !== connection.id) fail(`${this.name}: took another connection`);
    gift.end.checkIps(this.socket);
    if (this.socket.finWanted !== gift.end.finSent) fail(`${this.name}: whether it sends on got lost`);
    this.mayRead = true;
    if (gift.end.finSent) this.toSend = 0;
    world.tally.took++;
    this.react();
  }
}
