/** Bytes of a socket have moved: the owner of the table is told once, until it has fetched the counts. */
import { type Engine } from './engine';
import { type EngineSocket } from './socket';

export function moved(engine: Engine, socket: EngineSocket): void {
  if (!socket.countsFetched) return;
  socket.countsFetched = false;
  engine.ports.counted(socket);
}
