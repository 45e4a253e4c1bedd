/** Scenarios: by what names and addresses servers are reached, and what addresses clients have. */
import net from 'node:net';
import os from 'node:os';
import { closed, event, freePort, type Log, type Scenario, silent, watch } from './scenario-kit';

const HOST = '127.0.0.1';

async function visit(options: net.TcpNetConnectOpts, log: Log): Promise<void> {
  const socket = net.connect(options);
  try {
    await event(socket, 'connect');
  } catch (error) {
    log.add(options.host, error);
    return;
  }
  // Before the port of this end has its name: at another address it may be the same number.
  const remotePort = log.shown(socket.remotePort);
  log.name(socket.localPort, 'CLIENT');
  log.add(options.host === os.hostname() ? 'HOSTNAME' : options.host, remotePort, socket.localPort);
  log.add(socket.remoteAddress, socket.remoteFamily, socket.localAddress, socket.localFamily);
  socket.end();
  socket.resume();
  await closed(socket);
}

const tellPeers = (log: Log): net.Server =>
  net.createServer((socket) => {
    log.add(socket.remoteAddress, socket.remoteFamily, socket.localAddress, socket.localFamily);
    socket.resume();
  });

export const addressScenarios: Record<string, Scenario> = {
  'a server at an IPv4 address, reached by every name that leads there': {
    server: tellPeers,
    host: '127.0.0.1',
    client: async (port, log) => {
      for (const host of ['127.0.0.1', '0.0.0.0', '::ffff:127.0.0.1']) await visit({ port, host }, log);
      await visit({ port, host: 'localhost', family: 4 }, log);
    },
  },

  'a server at ::1': {
    server: tellPeers,
    host: '::1',
    client: async (port, log) => {
      for (const host of ['::1', '::']) await visit({ port, host }, log);
    },
  },

  'a server at 0.0.0.0': {
    server: tellPeers,
    host: '0.0.0.0',
    client: async (port, log) => {
      for (const host of ['127.0.0.1', '0.0.0.0']) await visit({ port, host }, log);
    },
  },

  'a server at any address, reached at one that is neither 127.0.0.1 nor ::1': {
    server: tellPeers,
    host: '0.0.0.0',
    client: async (port, log) => visit({ port, host: '127.0.0.2' }, log),
  },

  'a server at ::, reached by IPv4': {
    server: tellPeers,
    host: '::',
    client: async (port, log) => {
      for (const host of ['127.0.0.1', '0.0.0.0']) await visit({ port, host }, log);
    },
  },

  'a server at ::, reached by IPv6': {
    server: tellPeers,
    host: '::',
    client: async (port, log) => {
      for (const host of ['::1', '::']) await visit({ port, host }, log);
    },
  },

  'a local address that is another loopback one': {
    server: tellPeers,
    client: async (port, log) => visit({ port, host: HOST, localAddress: '127.0.0.3' }, log),
  },

  'a server at localhost, and the machine by its own name': {
    server: (log) =>
      net.createServer((socket) => {
        log.add('reached');
        socket.resume();
      }),
    host: '0.0.0.0',
    client: async (port, log) => {
      for (const host of ['localhost', 'LOCALHOST', os.hostname()]) {
        const socket = net.connect({ port, host, family: 4 });
        await event(socket, 'connect');
        log.add('connected', socket.remotePort, socket.remoteFamily);
        socket.end();
        await closed(socket.resume());
      }
    },
  },

  'a port and an address of the client’s own': {
    server: (log) =>
      net.createServer((socket) => {
        log.add(socket.remoteAddress, socket.remotePort === undefined);
        socket.end(String(socket.remotePort));
      }),
    client: async (port, log) => {
      for (const localAddress of [undefined, '127.0.0.1', '0.0.0.0']) {
        const localPort = await freePort();
        const socket = net.connect({
          port,
          host: HOST,
          localPort,
          ...(localAddress === undefined ? {} : { localAddress }),
        });
        let text = '';
        socket.on('data', (chunk) => (text += String(chunk)));
        await event(socket, 'connect');
        log.add(socket.localPort === localPort, socket.localAddress);
        await closed(socket);
        log.add(text === String(localPort));
      }
      const taken = net.connect({ port, host: HOST, localPort: port });
      log.name(port, 'SERVER');
      log.add((await event(taken, 'error'))[0]);
    },
  },

  'refused, with every name of this machine': {
    server: silent,
    client: async (_port, log) => {
      const port = await freePort();
      log.name(port, 'FREE');
      for (const options of [
        { host: '127.0.0.1' },
        { host: '::1' },
        { host: '0.0.0.0' },
        { host: '::' },
        { host: 'localhost', family: 4 },
        { host: 'localhost', autoSelectFamily: false, family: 4 },
      ]) {
        await closed(watch(net.connect({ port, ...options }), log.part(JSON.stringify(options)), 'client'));
      }
    },
  },
};
