/** What the patched functions ask: loaded by the first of them that STP may concern, and with it the call library. */
export { connect } from './connect/connect';
export { connectTcpHandle } from './connect/attempt';
export { bindTcpHandle, listen, listenHandle } from './handle/listen';
export { StpStream } from './handle/stream';
export { getServer, sharedHandle } from './handoff/cluster';
export { giveSocket } from './handoff/give';
export { goesByStp, receiveFrom, sendThrough } from './handoff/send';
export { hasSocketStdio, spawnWithSockets } from './handoff/stdio';
export { take } from './handoff/take';
export { writeGeneric } from './handle/write-generic';
