/**
 * Loaded into each test process: what a test starts is then started as a user starts it. tap puts a loader of its own
 * into NODE_OPTIONS of every process below a test, for a coverage that this project does not take; it costs an eighth
 * of a second of processor time in each of a thousand processes, and what tests measure of the hook's start would be
 * measured beside it.
 */
import processOnSpawn from 'process-on-spawn';

processOnSpawn.removeAllListeners();
const options = (process.env['NODE_OPTIONS'] ?? '').replace(/"?--import=[^" ]*@tapjs\/processinfo[^" ]*"?/u, '').trim();
if (options === '') delete process.env['NODE_OPTIONS'];
else process.env['NODE_OPTIONS'] = options;
