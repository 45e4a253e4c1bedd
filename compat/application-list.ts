/**
 * What runs as an application: a server and a client, both written for TCP, that know nothing of each other's process
 * and nothing of us.
 */

export interface Application {
  /** As in the table: the packages on both sides. */
  readonly name: string;
  /** Programs in compat/applications. */
  readonly server: string;
  readonly client: string;
  /** What the client checks. */
  readonly about: string;
  /** A program that makes once what the server needs, into a file that the server gets as its argument. */
  readonly prepare?: string;
  /** The server program connects to itself too, by what is there for it alone. */
  readonly callsItself?: true;
  /** Settings that it is run in beside the native one; undefined: all. */
  readonly settings?: readonly string[];
  /** How long the server program may take to end what it has started. */
  readonly endMs?: number;
}

/** Development servers compile for seconds: of what may be wrong with a region other applications tell as well. */
const SLOW = ['auto both', 'auto server', 'auto client'];

export const APPLICATIONS: readonly Application[] = [
  {
    name: 'express + axios',
    server: 'express-server',
    client: 'axios-client',
    about: '200 requests at a time, 4 MiB up, 3 MiB down, redirect, aborted answer, timeout',
  },
  {
    name: 'fastify + undici',
    server: 'fastify-server',
    client: 'undici-client',
    about: '300 pipelined requests, 4 MiB up, 4 MiB streamed down, and the fetch of Node',
  },
  {
    name: 'socket.io',
    server: 'socketio-server',
    client: 'socketio-client',
    about: 'polling, WebSocket and the upgrade to it, rooms, 2 MiB with acknowledgement, a refused namespace',
  },
  {
    name: 'ws',
    server: 'ws-server',
    client: 'ws-client',
    about: '1,000 messages, 3 MiB echo, with and without compression, ping, close codes',
  },
  {
    name: 'aedes + mqtt',
    server: 'mqtt-server',
    client: 'mqtt-client',
    about: 'QoS 0 to 2, retained and 2 MiB messages, the will of a client that dies',
  },
  {
    name: 'ftp-srv + basic-ftp',
    server: 'ftp-server',
    client: 'ftp-client',
    about: 'login, passive data connections, 5 MiB up and down, lists, rename, remove',
  },
  {
    name: 'telnet server + telnet-client',
    server: 'telnet-server',
    client: 'telnet-client',
    about: 'the server speaks first, negotiation, login, 50 commands, 1.3 MiB answer',
  },
  {
    name: 'smtp-server + nodemailer',
    server: 'smtp-server',
    client: 'nodemailer-client',
    about: 'STARTTLS, login, 12 mails with attachments in a pool, a certificate that is not trusted',
  },
  {
    name: 'redis-parser + ioredis',
    server: 'redis-server',
    client: 'ioredis-client',
    about: '500 commands at once, 3 MiB value, transaction, pipeline, publishing, a waiting pop',
  },
  {
    name: 'redis-parser + redis',
    server: 'redis-server',
    client: 'redis-client',
    about: '500 commands at once, 4 MiB value, transaction, publishing, a waiting pop',
  },
  {
    name: 'pglite-socket + pg',
    server: 'pglite-server',
    client: 'pg-client',
    about: 'SQL: prepared statements, 1 MiB bytea, 20,000 rows, rolled back transaction, an error',
    prepare: 'pglite-prepare',
  },
  {
    name: 'grpc-js',
    server: 'grpc-server',
    client: 'grpc-client',
    about: '200 calls at once, 3 MiB message, streams both ways, a refusal, a deadline',
  },
  {
    name: 'ssh2',
    server: 'ssh-server',
    client: 'ssh-client',
    about: 'login, a wrong password, 8 commands at once, 2 MiB of output, 1 MiB through a forward',
    callsItself: true,
  },
  {
    name: 'mysql2 + mysql2',
    server: 'mysql-server',
    client: 'mysql-client',
    about: '60 queries in a pool of 4, 20,000 rows, an error',
  },
  {
    name: 'http-proxy + got + undici',
    server: 'proxy-server',
    client: 'proxy-client',
    about: '100 requests and 2 MiB each way through a proxy, an upgrade, 20 requests through CONNECT',
    callsItself: true,
  },
  {
    name: 'express + nock + supertest',
    server: 'express-server',
    client: 'testing-client',
    about: 'intercepted requests beside real ones, requests while timers are faked, supertest',
  },
  {
    name: 'express + mocha + jest + vitest',
    server: 'express-server',
    client: 'suites-client',
    about: 'a suite with fake timers in each of the three runners',
  },
  {
    name: 'express + OpenTelemetry',
    server: 'express-server',
    client: 'telemetry-client',
    about: 'instrumentation of net and http: each request has its spans',
  },
  {
    name: 'NATS server + nats',
    server: 'nats-server',
    client: 'nats-client',
    about: '300 requests at once to a queue group, headers, 3 MiB message, nobody there, a dropped connection',
  },
  {
    name: 'pm2',
    server: 'pm2-server',
    client: 'pm2-client',
    about: 'two workers of a cluster, reloaded under load',
    settings: [...SLOW, 'stp mapped', 'stp direct'],
    endMs: 5000,
  },
  {
    name: 'vite + ws',
    server: 'vite-server',
    client: 'vite-client',
    about: 'the development server: page, transformed modules, a change of a file told by WebSocket',
  },
  {
    name: 'next',
    server: 'next-server',
    client: 'next-client',
    about: 'the development server: a rendered page, its script, 20 calls of an API route, a missing page',
    settings: SLOW,
    endMs: 5000,
  },
];
