/**
 * The named moments at which a process may die and leave the region in a state of its own: each step of each protocol,
 * in the order in which they come.
 *
 * A test walks this table with real processes that kill themselves there (`npm run test:crashes`). In a program nothing
 * is installed when this file is loaded, and {@link crashPoint} is a call of nothing. What is installed may not return,
 * and may not throw.
 */
export const CRASH_POINTS = {
  'open.directory': 'the directory of the region is made, nothing is in it',
  'open.header-written': 'the header is written under a name that nobody reads',
  'open.header': 'the header is in place',
  'open.number': 'a process number is claimed by an empty file',
  'open.liveness-fifo-made': 'the liveness FIFO is there, and nobody holds it',
  'open.liveness-fifo': 'the liveness FIFO is held, no identity tells of it',
  'open.tables': 'the file has its tables, no identity',
  'open.starting': 'the identity says starting',
  'open.live': 'the identity says live, nothing is recovered',
  'recovery.listed': 'recovery knows what there is, nothing is removed',
  'recovery.pair': 'recovery has removed one link or bell',
  'recovery.pairs': 'recovery has removed all links and bells of pairs',
  'recovery.process': 'recovery has removed a process file, its liveness FIFO is still there',
  'recovery.liveness-fifo': 'recovery has removed a process file and its liveness FIFO',
  'slot.growing': 'a block of control blocks is wanted, the file is not yet longer',
  'slot.grown': 'the process file has grown by a block of control blocks',
  'slot.published': 'a changed control block is written',
  'claim.published': 'a port or a range of ports is claimed, nobody else looked at',
  'claim.looked': 'no rival was found, the claim is not yet held',
  'claim.held': 'the port or range is held',
  'bind.listening': 'the port is published as listening',
  'bind.freed': 'the port is free again',
  'link.bells': 'both bells are made, none is open',
  'link.bell-open': 'the reading end of our bell is open, there is no log',
  'link.log-empty': 'the file of our log exists, nothing is in it',
  'link.log-reserved': 'our log has its blocks and no header',
  'link.log': 'our log is complete, the other process does not know of it',
  'link.notified': 'the other process has been told',
  'link.opened': 'the log of the other process is open',
  'link.joined': 'the bell of the other process is open and was rung',
  'link.detached': 'the memory of its log has no name any more',
  'ask.asked': 'ASK is in the log, not published',
  'ask.offered': 'the answer to ASK is in the log',
  'ask.chosen': 'a listener has offered, neither CONNECT nor the CANCELs to the others are in the log',
  'connect.asked': 'CONNECT is in the log, not published',
  'connect.published': 'CONNECT is published',
  'connect.queued': 'the program is about to be told that it is connected, nobody has accepted',
  'connect.early': 'bytes kept for a shared port are in the log, not published',
  'connect.accepted': 'ACCEPT has come, the program does not know',
  'connect.cancelled': 'CANCEL is in the log',
  'accept.queued': 'a request is in the queue of the listener, the program does not know',
  'accept.early': 'bytes for a request in the queue have come',
  'accept.begun': 'a socket is made for a request, ACCEPT is not in the log',
  'accept.answered': 'ACCEPT is in the log, not published',
  'data.appended': 'bytes are in the log, not published',
  'publish.begun': 'records of all kinds are in the log, about to be published',
  'publish.done': 'they are published, the reader is not rung',
  'publish.rung': 'the reader has been rung',
  'data.delivered': 'records were given to the program, the log does not know',
  'data.consumed': 'records are consumed, their writer has not been told',
  'data.told': 'the writer has been told how far we have read',
  'credit.given': 'CREDIT is in the log',
  'credit.taken': 'CREDIT has come',
  'fin.sent': 'FIN is in the log',
  'fin.received': 'FIN has come, FIN ACK is not in the log',
  'fin.acknowledged': 'FIN ACK has come',
  'close.begun': 'the program has closed its descriptor, what it sent is under way',
  'close.released': 'all was acknowledged, the control block is free and not written',
  'give.offered': 'a socket is offered, the program does not have the token',
  'take.asked': 'TAKE is in the log',
  'take.freezing': 'the giver has asked the other end to stop: FREEZE is in the log',
  'take.frozen': 'the other end has stopped: FROZEN is in the log',
  'take.state': 'the giver has sent the state, and bytes as far as there was room',
  'take.ready': 'the taker has it all: READY is in the log',
  'take.moving': 'the giver has committed: MOVE is in the log',
  'take.moved': 'MOVE is published, the giver has let go',
  'take.attached': 'the other end has joined the taker: ATTACH is in the log',
  'take.taken': 'ATTACH has come, the program does not know',
  'take.thawing': 'the hand-over came to nothing: THAW is in the log',
  'take.claiming': 'the giver died, the taker asks the other end: CLAIM is in the log',
  'reset.told': 'a connection is reset, its program does not know',
  'death.noticed': 'the end of a bell was seen, nothing is removed',
  'death.log-removed': 'our log to the dead process is removed, its own is not',
  'death.dropped': 'links and bells of the dead process are removed, no socket knows',
  'death.told': 'all sockets that were connected with it are reset',
  'leave.told': 'at exit: FIN or RESET is in the log for each connection',
  'leave.published': 'at exit: they are published, links are closed',
  'leave.left': 'at exit: the identity says left',
  'leave.file': 'at exit: the process file is removed, the liveness FIFO is not',
  'leave.liveness-fifo': 'at exit: nothing is left',
} as const;

export type CrashPoint = keyof typeof CRASH_POINTS;

/** Where a test's preload leaves the function that is called at each point, before this file is loaded. */
export const CRASH_HOOK = Symbol.for('stp-net.crash-hook');

const hook = (globalThis as { [CRASH_HOOK]?: (name: CrashPoint) => void })[CRASH_HOOK];

/** A moment of {@link CRASH_POINTS} has come. */
export function crashPoint(name: CrashPoint): void {
  if (hook !== undefined) hook(name);
}

/** The same on the way of each message. The library that programs load has none of these (scripts/bundle.ts). */
export function byteCrashPoint(name: CrashPoint): void {
  crashPoint(name);
}
