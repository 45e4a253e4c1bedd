/**
 * The bytes of a simulated socket: what its actor sends, and what it reads.
 *
 * It relies on the engine's notices as a program does: it reads on only after `readable`, and waits for `writable`
 * where a send came short. A notice that is lost is therefore a schedule that does not end.
 */
import { type EngineSocket, receive, send, sendLater, shutdown } from '../../src/engine';
import { errnoOf } from '../../src/errors';
import { type End, fail } from './connection-model';
import { type Phase, SimulatedOwner } from './simulated-owner';
import { type ActorProcess } from './actor-process';
import { excuseLost } from './socket-verdicts';

const SCRATCH = Buffer.alloc(65_536);
const GARBAGE = 0xee;

export abstract class SimulatedStream extends SimulatedOwner {
  end: End | null = null;
  toSend: number;
  mayRead = false;
  waitsWritable = false;
  pendingSends = 0;
  resetSeen = false;
  readonly #chunkMax: number;
  readonly #readMax: number;

  constructor(process: ActorProcess, socket: EngineSocket, phase: Phase) {
    super(process, socket, phase);
    const { random, theme } = process.world;
    this.toSend = random.chance(0.15)
      ? 0
      : random.below(random.chance(0.2) ? theme.bytesMax : Math.min(theme.bytesMax, 3000));
    this.#chunkMax = random.pick([7, 300, 2000, 20_000]);
    this.#readMax = random.pick([1, 100, 1000, 65_536]);
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
}
