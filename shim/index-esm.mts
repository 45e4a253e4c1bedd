/**
 * `stp-net` for ESM: every export of `node:net` by name, `stpTake`, and the same object that `require('stp-net')` gives
 * as default.
 */
import stpNet from './index.js';

export * from 'node:net';
export const stpTake = stpNet.stpTake;
export type { StpClientId, StpNote, StpSocket } from './index.js';
export default stpNet;
