/** Starts a process that outlives it, in a group of its own. */
import { spawn } from 'node:child_process';

const daemon = spawn(process.execPath, ['--eval', 'setInterval(() => {}, 1000)'], { detached: true, stdio: 'ignore' });
daemon.unref();
process.stdout.write(`${JSON.stringify({ daemon: daemon.pid })}\n`);
setInterval(() => {}, 1000);
