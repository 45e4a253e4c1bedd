/** How a connect ends: what net.js does when the system tells that the connection stands. */
import { type Connection } from './connection';
import { type InternalSocket, kSetKeepAlive, kSetNoDelay } from './internals';
import { connectionOf } from './stp-socket';

/** The connection stands: options, then 'connect' and 'ready', then the first read, as net.js has it. */
export function connected(socket: InternalSocket, connection: Connection): void {
  if (socket.destroyed || connectionOf(socket) !== connection) return;
  connection.run(finish, socket, connection);
}

function finish(this: InternalSocket, connection: Connection): void {
  this.connecting = false;
  this._sockname = null;
  this._unrefTimer();
  if (this[kSetNoDelay] === true) connection.setNoDelay(true);
  if (this[kSetKeepAlive] === true) connection.setKeepAlive(true);
  this.emit('connect');
  this.emit('ready');
  if (this.isPaused()) connection.holdSoon();
  else this.read(0);
}
