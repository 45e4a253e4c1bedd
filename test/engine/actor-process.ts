/** A simulated process with the actors that use its sockets. */
import { type SimulatedListener } from './simulated-listener';
import { SimulatedProcess } from './simulated-process';
import { type SimulatedSocket } from './simulated-socket';
import { type Simulation } from './simulation';

export class ActorProcess extends SimulatedProcess {
  override readonly world: Simulation;
  sockets: SimulatedSocket[] = [];
  listeners: SimulatedListener[] = [];
  /** An actor throws as soon as it has done what it wanted. */
  throwAfter = false;
  /** Its event loop is held up until then, ticks. */
  stalledUntil = 0;

  constructor(world: Simulation, process: number, host: number, socketsMax: number) {
    super(world, process, host, socketsMax);
    this.world = world;
  }

  act(): void {
    const { random, draining } = this.world;
    for (const owner of [...this.listeners, ...this.sockets])
      if (draining || random.chance(owner.pace))
        this.survive(() => {
          owner.act();
        });
    this.listeners = this.listeners.filter((listener) => listener.phase !== 'done');
    this.sockets = this.sockets.filter((socket) => socket.phase !== 'done');
  }

  override leave(): void {
    super.leave();
    for (const { end, gift } of this.sockets) if (end !== null && gift === null) end.finSent = true;
  }
}
