/**
 * Whether what a simulated socket is told may be, and what follows from it for its connection. Each throws where there
 * is no reason for it.
 */
import { errnoOf } from '../../src/errors';
import { type Connection, type End, fail, type Gift } from './connection-model';
import { type SimulatedOwner } from './simulated-owner';

/** A server whose table is full may never accept. */
export function serverFull({ process, socket }: SimulatedOwner): boolean {
  const { peer, asked } = socket;
  const servers = peer === null ? asked.map((one) => one.peer.process) : [peer.process];
  return servers.some((number) => {
    const server = process.world.processes[number - 1];
    return server !== undefined && server.engine.count >= server.socketsMax;
  });
}

/** The listener may close, or not be there at all, when the request comes to it: then the connection is reset. */
export function connectedEarly({ process, socket }: SimulatedOwner, connection: Connection): void {
  const { world } = process;
  const { group, port, ip } = socket.remote;
  const server = world.processes[connection.server - 1];
  world.tally.connectedEarly++;
  const listens = server?.dead === false && server.engine.listeners.find(group, port, ip) !== undefined;
  if (!connection.shared && !listens && !connection.accepted) connection.causes.add('nobody listens');
}

/** `limited`: the connect had a limit of time. */
export function checkRefusal(
  owner: SimulatedOwner,
  errno: number,
  connection: Connection | undefined,
  limited: boolean,
): void {
  const { tally } = owner.process.world;
  if (errno === errnoOf('ETIMEDOUT') && limited) {
    connection?.causes.add('connect limit');
    tally.timedOut++;
    return;
  }
  if (connection?.shared === true) checkNobodyListens(owner);
  if (errno === errnoOf('ECONNREFUSED')) {
    tally.refused++;
    return;
  }
  if (errno !== errnoOf('ECONNRESET') || (connection?.mayReset !== true && connection?.shared !== true))
    fail(`${owner.name}: refused with ${errno} for no reason`);
}

/** Whose program was connected before anybody had accepted is reset where nobody is left who could. */
export function excuseLost(owner: SimulatedOwner, connection: Connection): void {
  if (connection.mayReset || !connection.queued || !connection.shared || connection.accepted) return;
  checkNobodyListens(owner);
  connection.causes.add('nobody listens');
}

/** Where any may take a request, all must be gone before it fails. */
function checkNobodyListens({ name, process, socket }: SimulatedOwner): void {
  const { group, port, ip } = socket.remote;
  const other = process.world.processes.find(
    ({ dead, engine }) => !dead && engine.listeners.find(group, port, ip) !== undefined,
  );
  if (other !== undefined) fail(`${name}: failed, and p${other.process} listens`);
}

/** The giver was told that its socket is in other hands. */
export function handedOver({ name, process }: SimulatedOwner, gift: Gift): void {
  const { world } = process;
  gift.offered = false;
  gift.committed = true;
  gift.committedTick = world.tick;
  if (gift.tries === 0) fail(`${name}: taken by nobody`);
  world.checkTakers(gift);
}

/** A close that is complete says that the other end has all that was sent. */
export function checkDelivered({ name }: SimulatedOwner, end: End): void {
  const there = end.other.socket;
  if (there === null && end.connection.queued) return;
  if (there === null) fail(`${name}: delivered to nobody`);
  if (there.bytesReceived !== end.sent)
    fail(`${name}: delivered, but only ${there.bytesReceived} of ${end.sent} bytes are there`);
  if (there.discarded) fail(`${name}: delivered, but thrown away there`);
}

/** `right`: it was taken by whom it was given to. */
export function checkTakeFailed({ name, process }: SimulatedOwner, gift: Gift, errno: number, right: boolean): void {
  process.world.tally.takeFailed++;
  if (errno === errnoOf('ESTPCORRUPT')) fail(`${name}: ESTPCORRUPT`);
  // The give ran out while the other end was handed over: the giver is told when that is done.
  const ranOut = gift.end.socket !== null && gift.end.socket.resetWhenThawedErrno !== 0;
  const excused =
    ranOut || !right || gift.tries > 1 || (!gift.offered && !gift.committed) || gift.end.connection.mayReset;
  if (!excused) fail(`${name}: a take failed with ${errno} for no reason`);
}
