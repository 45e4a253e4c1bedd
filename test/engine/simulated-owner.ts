/**
 * What the actors of sockets and of listeners have in common: whom they are, what they may be told, and when they act.
 */
import { type EngineSocket, type SocketOwner } from '../../src/engine';
import { fail } from './connection-model';
import { type ActorProcess } from './actor-process';
import { SimulatedThrow } from './simulated-process';

export type Phase = 'listening' | 'connecting' | 'open' | 'given' | 'taking' | 'closing' | 'done';

export abstract class SimulatedOwner implements SocketOwner {
  readonly process: ActorProcess;
  readonly socket: EngineSocket;
  phase: Phase;
  /** How eager this actor is. */
  readonly pace: number;

  constructor(process: ActorProcess, socket: EngineSocket, phase: Phase) {
    this.process = process;
    this.socket = socket;
    this.phase = phase;
    this.pace = process.world.random.pick([0.2, 0.5, 0.9]);
    socket.owner = this;
  }

  abstract act(): void;

  get name(): string {
    return `p${this.process.process} s${this.socket.index}.${this.socket.generation} ${this.phase}`;
  }

  /** Checks that it may be told anything now. */
  protected told(what: string, ...phases: Phase[]): void {
    this.trace(what);
    if (this.process.calls > 0) fail(`${this.name}: told ${what} from inside a call of the owner`);
    if (this.process.dead) fail(`${this.name}: told ${what} after the death of its process`);
    if (!phases.includes(this.phase)) fail(`${this.name}: told ${what}`);
    if (this.process.world.random.chance(this.process.world.theme.throwChance)) {
      this.process.world.tally.thrown++;
      this.process.throwAfter = true;
    }
  }

  /** Programs mostly act on a notice at once. */
  protected react(): void {
    const { process } = this;
    if (process.world.random.chance(0.6)) this.act();
    if (!process.throwAfter) return;
    process.throwAfter = false;
    throw new SimulatedThrow();
  }

  call<T>(run: () => T): T {
    return this.process.call(run);
  }

  trace(what: string): void {
    this.process.moved = true;
    this.process.world.trace(
      () =>
        `${this.name}: ${what} [state ${this.socket.state}, ` +
        `sent ${this.socket.bytesSent}/${this.socket.sendLimitBytes}, received ${this.socket.bytesReceived}, ` +
        `queued ${this.socket.received.lengthBytes}]`,
    );
  }

  // --- SocketOwner: what an actor does not expect ---

  readable(availableBytes: number): void {
    this.told(`readable ${availableBytes}`);
  }

  writable(): void {
    this.told('writable');
  }

  acceptable(): void {
    this.told('acceptable');
  }

  connected(errno: number): void {
    this.told(`connected ${errno}`);
  }

  reset(): void {
    this.told('reset');
  }

  closed(errno: number): void {
    this.told(`closed ${errno}`);
  }

  taken(taken: boolean): void {
    this.told(`taken ${taken}`);
  }

  took(errno: number): void {
    this.told(`took ${errno}`);
  }
}
