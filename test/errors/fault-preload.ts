/**
 * A preload for tests: file calls of each thread of this process can be told to fail. Loads nothing of the library,
 * which must come after it.
 */
import { FAULT_CONTROL, FaultControl } from './fault-control';

const control = new FaultControl(process.env['STP_REGION'] ?? '');
Object.assign(globalThis, { [Symbol.for('stp-net.file-hook')]: control.wrap, [FAULT_CONTROL]: control });
