/**
 * Loaded into the programs by the runner, after the hook where there is one: writes down by which transport each
 * connection went, and at the end what the kernel of this network namespace counted. The programs know nothing of it.
 */
const { subscribe } = require('node:diagnostics_channel');
const { appendFileSync, readFileSync } = require('node:fs');
const { Socket } = require('node:net');

const file = process.env.COMPAT_WITNESS;
const note = (line) => appendFileSync(file, `${JSON.stringify(line)}\n`);
const taken = (side, { stp }) => note({ side, transport: stp?.transport ?? 'tcp', reason: stp?.reason });

function isPath(target) {
  const [first] = Array.isArray(target) ? target : [target];
  // http gives a path that is null.
  return typeof first === 'object' ? typeof first.path === 'string' : Number.isNaN(Number(first));
}

const { connect } = Socket.prototype;
Socket.prototype.connect = function witnessed(...args) {
  if (!isPath(args[0])) this.once('connect', () => taken('client', this));
  return Reflect.apply(connect, this, args);
};
subscribe('net.server.socket', ({ socket }) => {
  if (socket.remotePort !== undefined) taken('server', socket);
});
process.on('exit', () => {
  for (const name of ['snmp', 'sockstat', 'sockstat6', 'snmp6']) {
    try {
      note({ [name]: readFileSync(`/proc/self/net/${name}`, 'utf8') });
    } catch {
      // No such file: not Linux, or no IPv6.
    }
  }
});
