// Methods that a subclass overrides, and that the program has laid over the prototype, run; methods that it took before
// work afterwards.
const net = require('node:net');

const calls = new Set();
class Counting extends net.Socket {
  _write(...args) {
    calls.add('_write');
    super._write(...args);
  }
  _read(...args) {
    calls.add('_read');
    super._read(...args);
  }
  _final(...args) {
    calls.add('_final');
    super._final(...args);
  }
  _destroy(...args) {
    calls.add('_destroy');
    super._destroy(...args);
  }
  setNoDelay(...args) {
    calls.add('setNoDelay');
    return super.setNoDelay(...args);
  }
  push(...args) {
    calls.add('push');
    return super.push(...args);
  }
}
const { _writeGeneric } = net.Socket.prototype;
net.Socket.prototype._writeGeneric = function (...args) {
  calls.add('_writeGeneric');
  return _writeGeneric.apply(this, args);
};

const server = net.createServer((socket) => socket.pipe(socket));
const { address, close } = server;
server.listen(0, '127.0.0.1', () => {
  const socket = new Counting();
  const { end } = net.Socket.prototype;
  socket.connect(address.call(server).port, '127.0.0.1', () => {
    socket.setNoDelay(true);
    end.call(socket, 'x');
  });
  socket.resume().on('close', () => close.call(server, () => console.log(JSON.stringify([...calls].sort()))));
});
