/**
 * A process in a region, with two sockets in its table, for the tests that look at regions from outside.
 *
 * Forked with STP_REGION and the like in its environment; tells its parent 'ready' and stays. 'leave' closes in order.
 */
import { ipBytes, Scb, SocketState } from '../../src/layout';
import { Region, regionOptions } from '../../src/region';

export const LISTENER = { port: 3000, backlog: 511, waiting: 2 } as const;
export const CONNECTION = {
  port: 3001,
  ip: '127.0.0.1',
  peer: 'beta',
  peerIp: 'fd00::2',
  peerPort: 40_000,
  peerGroup: 'blue',
  received: 1_234_567,
  sent: 89,
  unread: 64,
  unsent: 3,
} as const;

function main(): void {
  const region = Region.open(regionOptions(process.env));
  const { system, group } = region.self;
  const blank = Scb.decode(new Uint8Array(Scb.sizeBytes));
  const own = { ...blank, generation: 1, localSystem: system, localGroup: group, changedAtMs: Date.now() };
  region.sockets.allocate(0);
  region.sockets.set(0, {
    ...own,
    state: SocketState.listening,
    localPort: LISTENER.port,
    backlog: LISTENER.backlog,
    receiveQueuedBytes: LISTENER.waiting,
  });
  region.sockets.allocate(1);
  region.sockets.set(1, {
    ...own,
    state: SocketState.established,
    localPort: CONNECTION.port,
    localFamily: ipBytes(CONNECTION.ip).family,
    localIp: ipBytes(CONNECTION.ip).bytes,
    remoteFamily: ipBytes(CONNECTION.peerIp).family,
    remoteIp: ipBytes(CONNECTION.peerIp).bytes,
    remoteSystem: CONNECTION.peer,
    remotePort: CONNECTION.peerPort,
    remoteGroup: CONNECTION.peerGroup,
    bytesReceived: CONNECTION.received,
    bytesSent: CONNECTION.sent,
    receiveQueuedBytes: CONNECTION.unread,
    sendQueuedBytes: CONNECTION.unsent,
  });
  region.sockets.flush();
  process.send?.('ready');
  process.on('message', () => {
    region.close();
    process.disconnect();
  });
  process.on('disconnect', () => process.exit());
}

if (require.main === module) main();
