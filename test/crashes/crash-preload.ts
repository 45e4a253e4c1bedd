/**
 * A preload for tests: this process can be told to kill itself at a crash point. Loads nothing of the library:
 * src/crash-points.ts looks for its hook once, when it is loaded, which must be after this.
 */
import { CRASH_CONTROL, CrashControl } from './crash-control';

const control = new CrashControl();
Object.assign(globalThis, { [Symbol.for('stp-net.crash-hook')]: control.hook, [CRASH_CONTROL]: control });
