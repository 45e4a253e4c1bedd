// An echo server that can hand a live connection to another process, and take one.
//
// Forked. Messages from its parent: { listen: port } to serve, { giveAfter: bytes } to hand the next connection over
// once it has echoed so many bytes, { take: token } to go on with a connection that another process gave. Messages to
// its parent: { listening: port }, { token, echoed }, { done: bytes echoed here }, { error }.
'use strict';

const net = require('stp-net');

let giveAfter = Infinity;

function fail(error) {
  process.send({ error: error.stack });
}

function echo(socket) {
  let echoed = 0;
  const onData = (chunk) => {
    echoed += chunk.length;
    if (!socket.write(chunk)) {
      socket.pause();
      socket.once('drain', () => socket.resume());
    }
    if (echoed >= giveAfter) give();
  };

  // From here on the connection goes on elsewhere: what was not read, what was not sent and all that is on its way go
  // with it.
  const give = () => {
    giveAfter = Infinity;
    socket.off('data', onData);
    socket.off('end', onEnd);
    socket.removeAllListeners('drain');
    socket.pause();
    socket.stpGive().then((token) => process.send({ token, echoed }), fail);
  };

  const onEnd = () => {
    socket.end();
    process.send({ done: echoed });
  };
  socket.on('data', onData);
  socket.on('end', onEnd);
  socket.on('error', fail);
}

const server = net.createServer({ allowHalfOpen: true }, echo);

process.on('message', (message) => {
  if (message.listen !== undefined)
    server.listen(message.listen, () => process.send({ listening: server.address().port }));
  if (message.giveAfter !== undefined) giveAfter = message.giveAfter;
  if (message.take !== undefined) echo(net.stpTake(message.take, { allowHalfOpen: true }));
});
process.on('disconnect', () => process.exit());
server.on('error', fail);
