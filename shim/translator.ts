/** What the patched functions ask: loaded by the first of them that is called, and with it the call library. */
export { sharedHandle } from './cluster';
export { connect } from './connect';
export { listen } from './listen';
export { receiveFrom, sendThrough } from './send';
export { take } from './take';
export { tlsConnect, tlsInit } from './tls';
