/**
 * What becomes of the sockets of a process that is in a region anew: control blocks and ports are taken again, and
 * then, last, for that runs the program, connections that are lost are reset.
 */
import { errnoOf, StpError } from '../errors';
import { SocketState } from '../layout';
import { type EngineSocket, forEach, type Peer, peerGone, stopListening } from '../engine';
import { Endpoint } from './endpoint';
import { type Runtime } from './runtime';

/** `lost`: those whose links are no more. */
export function restoreSockets(runtime: Runtime, lost: readonly Peer[]): void {
  const { engine } = runtime;
  const homeless: EngineSocket[] = [];
  for (const socket of engine.sockets) {
    if (socket === undefined) continue;
    if (!restored(runtime, socket)) homeless.push(socket);
  }
  runtime.flushSockets();
  forEach(
    lost,
    (peer) => {
      peerGone(engine, peer, errnoOf('ECONNRESET'));
    },
    () => {
      if (homeless.length > 0)
        runtime.later(() => {
          forEach(homeless, (socket) => {
            endHomeless(runtime, socket);
          });
        });
    },
  );
}

/** Its port is another's by now. */
function endHomeless({ engine }: Runtime, socket: EngineSocket): void {
  if (engine.sockets[socket.index] !== socket) return;
  stopListening(engine, socket);
  socket.listener = null;
  engine.abort(socket, errnoOf('EADDRINUSE'), false);
}

/** Ends all connections, where the region can't be had: what listens waits for it. */
export function resetConnections({ engine }: Runtime): void {
  forEach([...engine.peers.values()], (peer) => {
    peerGone(engine, peer, errnoOf('ECONNRESET'));
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
    // A connection that was not bound by the program: its port need not be found.
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
    // A connection goes on without its port, where it can.
    if (error instanceof StpError) return socket.peer !== null;
    throw error;
  }
}
