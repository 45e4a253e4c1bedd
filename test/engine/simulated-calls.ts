/** The calls with which something begins in a simulated process: it listens, it connects, it takes what was given. */
import { connect, type EngineSocket, type Peer, take } from '../../src/engine';
import { reachesMeet, sourceIp } from '../../src/layout';
import { type ActorProcess } from './actor-process';
import { SimulatedListener } from './simulated-listener';
import { SimulatedSocket } from './simulated-socket';

/** What listeners bind, and clients call; '' every address, and none. */
const REACHES = ['', '', '', '0.0.0.0', '::', '127.0.0.1', '::1'];
const CALLED = ['', '', '127.0.0.1', '::1', '127.0.0.2'];
/** Takes that a process tries at once. */
const TAKES_MAX = 3;

function openSocket(process: ActorProcess): EngineSocket | undefined {
  try {
    return process.call(() => process.engine.open());
  } catch (error) {
    process.world.expect(error, 'EMFILE', 'ENOSPC');
    return undefined;
  }
}

export function startListener(process: ActorProcess): void {
  const { listeners } = process;
  const { random, theme } = process.world;
  const port = random.between(1, 3);
  const reach = random.pick(REACHES);
  const inTheWay = ({ phase, socket }: SimulatedListener): boolean =>
    phase === 'listening' && socket.local.port === port && reachesMeet(socket.reach, reach);
  if (listeners.length > process.socketsMax / 3 || listeners.some(inTheWay)) return;
  const socket = openSocket(process);
  if (socket === undefined) return;
  const listener = new SimulatedListener(process, socket);
  socket.local.port = port;
  socket.local.ip = socket.reach = reach;
  socket.wantWindow(random.pick(theme.windows));
  socket.deathAsTcp = random.chance(theme.deathAsTcpChance);
  listener.listen(random.pick([1, 2, 8]));
  listener.trace('listen');
}

export function startConnect(process: ActorProcess): void {
  const { world } = process;
  const { random, theme } = world;
  const target = random.between(1, world.processes.length);
  const opened = openSocket(process);
  if (opened === undefined) return;
  let peer: Peer | undefined;
  try {
    peer = process.call(() => process.engine.peer(target));
  } catch (error) {
    world.expect(error, 'ENOSPC');
  }
  if (peer === undefined) {
    process.engine.release(opened);
    return;
  }
  const to = peer;
  const socket = new SimulatedSocket(process, opened, 'connecting');
  const connection = world.newConnection();
  connection.server = target;
  connection.shared = random.chance(theme.sharedChance);
  if (!connection.shared && world.processes[target - 1]?.dead === true) connection.causes.add('its server is dead');
  socket.hold(connection.ends[0]);
  socket.socket.local.port = connection.id;
  socket.socket.wantWindow(random.pick(theme.windows));
  const limitMs = random.chance(0.2) ? random.between(1, 300) : 0;
  socket.connectLimited = limitMs > 0;
  const remote = {
    system: `h${world.processes[target - 1]?.host ?? 0}`,
    group: 'STG',
    port: random.between(1, 3),
    ip: random.pick(CALLED),
  };
  connection.calledIp = remote.ip;
  connection.clientIp = socket.socket.local.ip = sourceIp(remote.ip);
  const early = random.chance(theme.earlyChance) ? { backlog: random.pick([1, 2, 8]), bytes: theme.earlyBytes } : null;
  connection.queued = early !== null;
  const listens = world.processes[target - 1]?.engine.listeners.find(remote.group, remote.port, remote.ip);
  if (connection.queued && !connection.shared && listens === undefined) connection.causes.add('nobody listens');
  const linkTimeoutMs = random.chance(0.2) ? random.between(1, 100) : 0;
  socket.connectLimited ||= linkTimeoutMs > 0;
  socket.socket.deathAsTcp = random.chance(theme.deathAsTcpChance);
  process.call(() => {
    connect(process.engine, socket.socket, to, remote, {
      timeoutMs: limitMs,
      anyListener: connection.shared,
      early,
      linkTimeoutMs,
    });
  });
  socket.trace(`connect to p${target}:${remote.port} ${remote.ip}`);
}

export function startTake(process: ActorProcess): void {
  const { world } = process;
  const { random, theme } = world;
  if (world.gifts.length === 0) return;
  const gift = random.chance(0.7) ? world.gifts.at(-1) : random.pick(world.gifts);
  if (gift === undefined || (!gift.offered && (world.draining || random.chance(0.9)))) return;
  // A flood of refusals would be all that the logs carry.
  if (process.sockets.filter((socket) => socket.phase === 'taking').length >= TAKES_MAX) return;
  let giver: Peer | undefined;
  try {
    giver = process.call(() => process.engine.peer(gift.process, gift.epoch));
  } catch (error) {
    world.expect(error, 'ENOSPC');
  }
  const opened = giver === undefined ? undefined : openSocket(process);
  if (giver === undefined || opened === undefined) return;
  const socket = new SimulatedSocket(process, opened, 'taking');
  const wrong = random.chance(0.05);
  const secret = wrong ? random.bytes(gift.secret.length) : gift.secret;
  socket.gift = gift;
  socket.rightTake = !wrong && (gift.client === 0 || gift.client === process.process);
  if (socket.rightTake) gift.tries++;
  socket.socket.wantWindow(random.pick(theme.windows));
  const peer = giver;
  process.call(() => {
    take(process.engine, socket.socket, peer, { ...gift, secret });
  });
  socket.trace(`take ${gift.end.name} of p${gift.process} s${gift.socket}${socket.rightTake ? '' : ' (wrong)'}`);
}
