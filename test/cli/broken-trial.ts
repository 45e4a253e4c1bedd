/**
 * A preload for tests: the second process of the trial of `stp doctor`, which has a port as its argument, is killed as
 * soon as it starts.
 */
if (process.argv[1]?.endsWith('trial-main.js') === true && process.argv[2] !== undefined)
  process.kill(process.pid, 'SIGKILL');
