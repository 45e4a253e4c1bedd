/**
 * What becomes of the sockets of a process that was taken for dead, once it is back in the region under a new number:
 * control blocks and ports are taken again, and then, last, for that runs the program, connections are reset.
 */
import { errnoOf, StpError } from '../errors';
import { SocketState } from '../layout';
import { type EngineSocket, forEach, stopListening } from '../engine';
import { Endpoint } from './endpoint';
import { type Runtime } from './runtime';

export function restoreSockets(runtime: Runtime): void {
  const { engine } = runtime;
  const homeless: EngineSocket[] = [];
  const peers = [...engine.peers.values()];
  for (const socket of engine.sockets) {
    if (socket === undefined) continue;
    if (!restored(runtime, socket)) homeless.push(socket);
  }
  runtime.flushSockets();
  forEach(
    peers,
    (peer) => {
      engine.peerGone(peer, errnoOf('ECONNRESET'));
    },
    () => {
      forEach(homeless, (socket) => {
        stopListening(engine, socket);
        socket.listener = null;
        engine.abort(socket, errnoOf('EADDRINUSE'), false);
      });
    },
  );
}

/** Ends all connections, where the region can't be had: what listens waits for it. */
export function resetConnections({ engine }: Runtime): void {
  forEach([...engine.peers.values()], (peer) => {
    engine.peerGone(peer, errnoOf('ECONNRESET'));
  });
}

/** False for a socket whose port another process has now. */
function restored(runtime: Runtime, socket: EngineSocket): boolean {
  const { owner, local } = socket;
  try {
    runtime.changed(socket, true);
    if (!(owner instanceof Endpoint) || owner.portKind === 'none') return true;
    const { portKind } = owner;
    owner.portKind = 'none';
    // A connection that is about to be reset, and was not bound by the program: its port is not wanted any more.
    if (portKind === 'ephemeral' && socket.peer !== null) return true;
    runtime.region.bindings.bind(local.port, local.group, socket.index, {
      shared: owner.reusePort,
      reach: socket.reach,
    });
    owner.portKind = 'bound';
    if (socket.state === SocketState.listening)
      runtime.region.bindings.listen(local.port, local.group, socket.reach, socket.listener?.backlog);
    return true;
  } catch (error) {
    if (error instanceof StpError) return false;
    throw error;
  }
}
