/**
 * A process that plays the scenarios of http, tls and http2, either end; asked `{ transports }`, it tells what its
 * sockets connected by.
 */
import { subscribe } from 'node:diagnostics_channel';
import type net from 'node:net';
import { playScenarios } from './scenario-ends';
import { webScenarios } from './web-scenarios';

const transports = new Set<string>();
subscribe('net.client.socket', (message) => {
  const { socket } = message as { socket: net.Socket & { stp?: { transport: string } } };
  socket.once('connect', () => transports.add(socket.stp?.transport ?? 'none'));
});

playScenarios(webScenarios, { transports: () => [...transports].sort() });
