/** What the scenarios of http are written with, beside the kit of those of the web. */
import http from 'node:http';
import type net from 'node:net';
import { type Log } from './scenario-kit';
import { MESSAGE_EVENTS, RESPONSE_EVENTS, tell } from './web-kit';

/** Logs connections and requests, each with the number of its connection; `answer` answers. */
export function webServer(log: Log, answer: http.RequestListener, options: http.ServerOptions = {}): http.Server {
  const numbers = new WeakMap<net.Socket, string>();
  let connections = 0;
  const server = http.createServer(options, (request, response) => {
    const number = numbers.get(request.socket) ?? '#?';
    log.name(request.socket.remotePort, 'CLIENT');
    log.add(number, 'request', request.method, request.url, request.httpVersion, request.headers);
    tell(request, log, `${number} request`, MESSAGE_EVENTS);
    tell(response, log, `${number} response`, RESPONSE_EVENTS);
    answer(request, response);
  });
  server.on('connection', (socket) => {
    connections += 1;
    numbers.set(socket, `#${connections}`);
    log.add(`#${connections}`, 'connection', socket.constructor.name);
    tell(socket, log, `#${connections} socket`, ['end', 'timeout', 'error', 'close']);
  });
  return tell(server, log, 'server', ['dropRequest', 'timeout', 'close', 'error']);
}

/** Answers every request by its path. */
export const hello: http.RequestListener = (request, response) => {
  request.resume();
  response.end(`hello ${request.url ?? ''}`);
};

export function agentOf(log: Log, options: http.AgentOptions = {}): http.Agent {
  return new http.Agent({ keepAlive: true, ...options }).on('free', (socket: net.Socket) => {
    log.add('agent free', socket.destroyed);
  });
}

/** How many sockets are in use, how many are free, and how many requests wait. */
export function counts(agent: http.Agent): number[] {
  return [agent.sockets, agent.freeSockets, agent.requests].map((lists) =>
    Object.values(lists as NodeJS.Dict<unknown[]>).reduce((sum, list) => sum + (list?.length ?? 0), 0),
  );
}
