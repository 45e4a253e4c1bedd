/**
 * Programs that end by themselves, or don't, by what they hold: each must do over STP what it does over TCP.
 * `settled()` is called when all is set up; what keeps the process alive for long after that keeps it for ever.
 */
export const exitPrograms: Readonly<Record<string, { readonly ends: boolean; readonly program: string }>> = {
  'an unref’ed server': { ends: true, program: 'net.createServer().listen(0, settled).unref();' },
  'a server unref’ed before it listens': { ends: true, program: 'net.createServer().unref().listen(0, settled);' },
  'an unref’ed server that is ref’ed again': {
    ends: false,
    program: 'net.createServer().unref().ref().listen(0, settled).unref().ref();',
  },
  'a closed server with an unref’ed socket': {
    ends: true,
    program: `
      const server = net.createServer((socket) => { socket.unref(); server.close(); settled(); }).listen(0, () => {
        const socket = net.connect(server.address().port, () => socket.unref());
      });
    `,
  },
  'unref’ed sockets of both ends': {
    ends: true,
    program: `
      const server = net.createServer((socket) => socket.unref()).listen(0, () => {
        const socket = net.connect(server.address().port, () => { socket.unref(); settled(); });
        server.unref();
      });
    `,
  },
  'a socket unref’ed before it connects': {
    ends: true,
    program: `
      const server = net.createServer((socket) => socket.unref()).listen(0, settled).unref();
      net.connect(server.address().port).unref();
    `,
  },
  'a socket whose server is closed': {
    ends: false,
    program: `
      const server = net.createServer((socket) => { socket.unref(); server.close(); settled(); });
      server.listen(0, () => net.connect(server.address().port));
    `,
  },
  'a socket unref’ed and ref’ed again': {
    ends: false,
    program: `
      const server = net.createServer((socket) => socket.unref()).listen(0, () => {
        server.unref();
        const socket = net.connect(server.address().port, () => { socket.unref().ref(); settled(); });
      });
    `,
  },
  'sockets that are paused at both ends, and a timeout': {
    ends: true,
    program: `
      const server = net.createServer({ pauseOnConnect: true }).listen(0, () => {
        server.unref();
        const socket = net.connect(server.address().port, () => { socket.pause().setTimeout(60_000); settled(); });
      });
    `,
  },
  'ended at both ends, and what came is not read': {
    ends: true,
    program: `
      const server = net.createServer((socket) => { server.unref(); socket.end(); }).listen(0, () => {
        const socket = net.connect(server.address().port, () => socket.end("x"));
        socket.resume().on("end", settled);
      });
    `,
  },
  'half-open, and the other end never ends': {
    ends: false,
    program: `
      const server = net.createServer({ allowHalfOpen: true }, (socket) => {
        server.unref();
        socket.resume().on("end", settled);
      }).listen(0, () => net.connect(server.address().port).resume().end());
    `,
  },
  'a write that nobody reads': {
    ends: false,
    program: `
      const server = net.createServer({ pauseOnConnect: true }, () => { server.unref(); settled(); });
      server.listen(0, () => {
        const socket = net.connect(server.address().port, () => {
          socket.pause();
          socket.write(Buffer.alloc(12_582_912));
        });
      });
    `,
  },
  'an unref’ed TLS socket': {
    ends: true,
    program: `
      const server = net.createServer((socket) => socket.unref()).listen(0, settled).unref();
      require("node:tls").connect(server.address().port).on("error", () => {}).unref();
    `,
  },
  'an unref’ed http2 session without TLS': {
    ends: true,
    program: `
      const http2 = require("node:http2");
      const server = http2.createServer().on("session", (session) => setImmediate(() => session.unref()));
      server.listen(0).unref();
      const session = http2.connect("http://localhost:" + server.address().port, () => {
        session.unref();
        settled();
      });
    `,
  },
};
