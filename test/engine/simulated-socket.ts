/**
 * One socket of a simulated process and the actor that uses it at random, within what the STP calls allow.
 *
 * It relies on the engine's notices as a program does: it reads on only after `readable`, and waits for `writable`
 * where a send came short. A notice that is lost is therefore a schedule that does not end. Whether what it is told may
 * be is in socket-verdicts.ts.
 */
import { close, type EngineSocket, give, receive, send, sendLater, shutdown } from '../../src/engine';
import { errnoOf } from '../../src/errors';
import { type End, fail, type Gift } from './connection-model';
import { type Phase, SimulatedOwner } from './simulated-owner';
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

const SCRATCH = Buffer.alloc(65_536);
const GARBAGE = 0xee;

export class SimulatedSocket extends SimulatedOwner {
  end: End | null = null;
  gift: Gift | null = null;
  /** A take that has to succeed unless something happens to the connection. */
  rightTake = false;
  connectLimited = false;
  lingers = false;
  toSend: number;
  mayRead = false;
  waitsWritable = false;
  pendingSends = 0;
  resetSeen = false;
  readonly #chunkMax: number;
  readonly #readMax: number;

  constructor(process: ActorProcess, socket: EngineSocket, phase: Phase) {
    super(process, socket, phase);
    process.sockets.push(this);
    const { random, theme } = process.world;
    this.toSend = random.chance(0.15)
      ? 0
      : random.below(random.chance(0.2) ? theme.bytesMax : Math.min(theme.bytesMax, 3000));
    this.#chunkMax = random.pick([7, 300, 2000, 20_000]);
    this.#readMax = random.pick([1, 100, 1000, 65_536]);
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

  write(): void {
    const { random } = this.process.world;
    const { end } = this;
    if (end === null || end.finSent || this.toSend === 0) return;
    // In the end nothing but the notice may help.
    if (this.waitsWritable && this.process.world.draining) return;
    const length = Math.min(this.toSend, random.between(1, this.process.world.draining ? 2000 : this.#chunkMax));
    if (random.chance(0.4)) this.#sendWaiting(end, length);
    else if (!this.waitsWritable || random.chance(0.05)) this.#sendNow(end, length);
  }

  #sendNow(end: End, length: number): void {
    const { process } = this;
    const bytes = end.next(length);
    const more = process.world.random.chance(0.3);
    if (!this.#maySend()) return;
    const sent = this.call(() => send(process.engine, this.socket, bytes, length, more));
    if (sent !== -1 && (sent < 1 || sent > length)) fail(`${this.name}: send of ${length} returned ${sent}`);
    this.trace(`send ${length} -> ${sent}`);
    end.sent += Math.max(0, sent);
    this.toSend -= Math.max(0, sent);
    this.waitsWritable = sent < length;
    if (this.waitsWritable) process.world.tally.cameShort++;
  }

  /** As STPsend checks. */
  #maySend(): boolean {
    if (this.socket.connected && !this.socket.finWanted && !this.socket.peerGone) return true;
    if (this.socket.peerGone || this.socket.resetErrno !== 0) {
      this.toSend = 0;
      return false;
    }
    return fail(`${this.name}: can't send in state ${this.socket.state}`);
  }

  /** As STPsend without MSG_DONTWAIT: what can't go at once waits in the engine. */
  #sendWaiting(end: End, length: number): void {
    const { engine, world } = this.process;
    if (!this.#maySend()) return;
    const own = Buffer.from(end.next(length));
    const sent = this.call(() => send(engine, this.socket, own, length, false));
    this.waitsWritable = false;
    end.sent += length;
    this.toSend -= length;
    this.trace(`send ${length}, waiting -> ${sent}`);
    if (sent === length) return;
    this.pendingSends++;
    this.socket.wantsWrite = false;
    world.tally.sentLater++;
    let done = false;
    const { connection } = end;
    this.call(() => {
      sendLater(engine, this.socket, {
        bytes: own,
        at: Math.max(0, sent),
        end: length,
        done: (errno) => {
          if (done) fail(`${this.name}: a send is done twice`);
          done = true;
          own.fill(GARBAGE);
          this.pendingSends--;
          if (errno === errnoOf('ESTPCORRUPT')) fail(`${this.name}: ESTPCORRUPT`);
          if (errno === errnoOf('ETIMEDOUT') && this.phase === 'given') connection.causes.add('give ran out');
          if (errno !== 0) excuseLost(this, connection);
          if (errno !== 0 && !connection.mayReset && !end.closed)
            fail(`${this.name}: a send failed with ${errno} for no reason`);
        },
      });
    });
  }

  read(): void {
    const { random, tally } = this.process.world;
    const { end, socket } = this;
    if (end === null || !this.mayRead) return;
    const size = this.process.world.draining ? 65_536 : random.between(1, this.#readMax);
    if (random.chance(0.1)) this.#peek(end, size);
    const n = this.call(() => receive(socket, SCRATCH, 0, size, false));
    if (n === 0) {
      this.#readNothing(end);
      return;
    }
    end.check(SCRATCH, n, false);
    tally.bytes += n;
    this.trace(`read ${n}`);
    if (random.chance(0.05)) this.#unread(end, n);
  }

  #peek(end: End, size: number): void {
    const n = this.call(() => receive(this.socket, SCRATCH, 0, size, true));
    if (n > 0) end.check(SCRATCH, n, true);
  }

  #unread(end: End, n: number): void {
    const back = this.process.world.random.between(1, n);
    this.socket.received.unread(SCRATCH.subarray(n - back, n));
    end.received -= back;
  }

  #readNothing(end: End): void {
    const { socket } = this;
    this.mayRead = false;
    if (!socket.receivable || end.deaf) return;
    if (socket.resetErrno !== 0) {
      if (!this.resetSeen) fail(`${this.name}: an error is read that nobody told`);
    } else if (!end.eofSeen) {
      // One that took the socket over is only told that the other end is gone.
      end.checkEnd(
        socket.deathErrno !== 0 ||
          (socket.peerGone && this.process.world.processes[end.other.process - 1]?.dead === true),
      );
      if (socket.deathErrno !== 0) this.process.world.tally.endedByDeath++;
      this.trace('end of stream');
    }
  }

  shutdown(receiving: boolean, sending: boolean): void {
    const { end, process } = this;
    if (end === null || (!receiving && !sending) || (!receiving && end.finSent)) return;
    this.trace(`shutdown ${receiving ? 'r' : ''}${sending ? 'w' : ''}`);
    if (receiving) end.deaf = true;
    if (sending) {
      end.finSent = true;
      this.toSend = 0;
    }
    this.call(() => {
      shutdown(process.engine, this.socket, receiving, sending);
    });
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

  override readable(availableBytes: number): void {
    this.told('readable', 'open');
    if (availableBytes > this.socket.received.lengthBytes)
      fail(`${this.name}: told of ${availableBytes} bytes, ${this.socket.received.lengthBytes} are there`);
    if (!this.socket.receivable) fail(`${this.name}: told of bytes, nothing can be received`);
    this.mayRead = true;
    this.react();
  }

  override writable(): void {
    this.told('writable', 'open');
    this.waitsWritable = false;
    this.react();
  }

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
