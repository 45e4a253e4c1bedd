/** Bytes of a socket have moved: the owner of the table is told once, until it has fetched the counts. */
import { type Engine } from './engine';
import { type EngineSocket } from './socket';

/** To be called only while `countsFetched`: most calls would find it told. */
export function moved(engine: Engine, socket: EngineSocket): void {
  socket.countsFetched = false;
  engine.ports.counted(socket);
}
