/**
 * `stp bridge`: connections between TCP and the region, for programs that are not Node. Checks what it was told, opens
 * its forwards, says where they listen, and goes on until it is ended.
 */
import fs from 'node:fs';
import type * as BridgeRoom from '../bridge';
import { StpError } from '../errors';
import { regionOptions } from '../region';
import { CliFailure, ExitCode } from './failure';
import { type PlaceOptions, setPlace } from './region-option';

export interface BridgeCommandOptions extends PlaceOptions {
  readonly local: readonly string[];
  readonly remote: readonly string[];
  readonly socks: readonly string[];
  readonly http: readonly string[];
  readonly stdio?: string;
  readonly allow: readonly string[];
  readonly deny: readonly string[];
  readonly authFile?: string;
  readonly connectTimeout: string;
  readonly handshakeTimeout: string;
  readonly idleTimeout: string;
  readonly retry: string;
  readonly maxConnections: string;
  readonly drain: string;
  readonly pidFile?: string;
  readonly verbose?: boolean;
  readonly json?: boolean;
}

type Room = typeof BridgeRoom;

const SECONDS_MAX = 86_400;
const CONNECTIONS_MAX = 1_000_000;
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Runs until a signal ends it. */
export async function bridge(options: BridgeCommandOptions): Promise<void> {
  useRegion(options);
  const room: Room = await import('../bridge/index.js');
  const settings = settingsOf(room, options);
  if (options.stdio !== undefined) {
    await overStdio(room, options, settings);
    return;
  }
  const forwards = forwardsOf(room, options);
  if (forwards.length === 0)
    throw new CliFailure(
      'nothing to forward',
      ExitCode.usage,
      'Name one: stp bridge -L 5432:db:5432, -R 6379:localhost:6379, -D 1080 or -H 3128',
    );
  await serve(room, options, settings, forwards);
}

/** The region of the call library is that of the environment. */
function useRegion(options: BridgeCommandOptions): void {
  setPlace(options, process.env);
  regionOptions(process.env);
}

function settingsOf({ Credentials, TargetRules }: Room, options: BridgeCommandOptions): BridgeRoom.BridgeOptions {
  return {
    rules: new TargetRules(options.allow, options.deny),
    credentials: options.authFile === undefined ? undefined : Credentials.read(options.authFile),
    connectTimeoutMs: secondsOf('--connect-timeout', options.connectTimeout, 0.001),
    handshakeTimeoutMs: secondsOf('--handshake-timeout', options.handshakeTimeout, 0.001),
    idleTimeoutMs: secondsOf('--idle-timeout', options.idleTimeout, 0),
    retryMs: secondsOf('--retry', options.retry, 0),
    connectionsMax: wholeNumber('--max-connections', options.maxConnections, CONNECTIONS_MAX),
  };
}

/** Seconds of the command line, in milliseconds. */
function secondsOf(option: string, text: string, least: number): number {
  const seconds = /^\d+(\.\d+)?$/u.test(text) ? Number(text) : -1;
  if (seconds < least || seconds > SECONDS_MAX)
    throw new CliFailure(`${option} ${text}: must be seconds, up to ${SECONDS_MAX}`, ExitCode.usage);
  return Math.round(seconds * 1000);
}

function wholeNumber(option: string, text: string, most: number): number {
  const number = /^\d{1,7}$/u.test(text) ? Number(text) : 0;
  if (number < 1 || number > most)
    throw new CliFailure(`${option} ${text}: must be a whole number from 1 to ${most}`, ExitCode.usage);
  return number;
}

function forwardsOf(
  { localForward, proxyForward, remoteForward }: Room,
  options: BridgeCommandOptions,
): BridgeRoom.Forward[] {
  return [
    ...options.local.map(localForward),
    ...options.remote.map(remoteForward),
    ...options.socks.map((value) => proxyForward('socks', value)),
    ...options.http.map((value) => proxyForward('http', value)),
  ];
}

async function serve(
  { Bridge, shownForward }: Room,
  options: BridgeCommandOptions,
  settings: BridgeRoom.BridgeOptions,
  forwards: readonly BridgeRoom.Forward[],
): Promise<void> {
  const tell = teller(options);
  const drainMs = secondsOf('--drain', options.drain, 0);
  const own = new Bridge(settings, {
    closed: ({ from, to, sentBytes, receivedBytes }) => {
      tell('closed', `${from} -> ${to}: ${sentBytes} bytes there, ${receivedBytes} back`, {
        from,
        to,
        sentBytes,
        receivedBytes,
      });
    },
    failed: ({ from, to, error }) => {
      tell('failed', `${from} -> ${to}: ${error.message}`, { from, to, error: error.message, code: codeOf(error) });
    },
    lost: (forward) => {
      process.exitCode = ExitCode.failed;
      tell('lost', `${shownForward(forward)}: another process has the port now`, { forward });
    },
  });
  for (const wanted of forwards) {
    try {
      const { forward } = await own.open(wanted);
      tell('listening', shownForward(forward), { forward });
    } catch (error) {
      await own.drain();
      throw notOpened(shownForward(wanted), error);
    }
  }
  if (options.pidFile !== undefined) fs.writeFileSync(options.pidFile, `${process.pid}\n`);
  const signal = await firstSignal();
  const drained = own.drain();
  tell('draining', `${signal}: ${own.connections} connections have ${options.drain} s to end`, {
    connections: own.connections,
  });
  const timer = setTimeout(() => {
    own.abort();
  }, drainMs);
  await drained;
  clearTimeout(timer);
  if (options.pidFile !== undefined) fs.rmSync(options.pidFile, { force: true });
}

function codeOf(error: Error): string {
  return (error as NodeJS.ErrnoException).code ?? 'EIO';
}

/** Prints events: where it listens in any case, connections where that is asked for. */
function teller({ json, verbose }: BridgeCommandOptions): (event: string, text: string, facts: object) => void {
  return (event, text, facts) => {
    if (json === true) process.stdout.write(`${JSON.stringify({ event, ...facts })}\n`);
    else if (event === 'listening') process.stdout.write(`${text}\n`);
    else if (verbose === true || event === 'lost') process.stderr.write(`stp bridge: ${event}: ${text}\n`);
  };
}

function notOpened(what: string, error: unknown): Error {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'EADDRINUSE')
    return new CliFailure(
      `${what}: the port or path is in use`,
      ExitCode.failed,
      what.startsWith('stp:') ? 'stp ss -l shows by which process.' : 'ss -ltnp or ss -lxp shows by which process.',
    );
  if (error instanceof StpError) return error;
  return new CliFailure(`${what}: ${message}`);
}

function firstSignal(): Promise<string> {
  return new Promise((resolve) => {
    for (const name of SIGNALS) process.once(name, resolve);
  });
}

/** `-W system:port`: standard input and output. */
async function overStdio(
  { connectStp, joinStdio, partsOf, shownStp, stpAddress, systemOf }: Room,
  options: BridgeCommandOptions,
  { connectTimeoutMs, rules }: BridgeRoom.BridgeOptions,
): Promise<void> {
  const value = options.stdio ?? '';
  if (options.local.length + options.remote.length + options.socks.length + options.http.length > 0)
    throw new CliFailure('-W takes standard input and output, and goes with no other forward', ExitCode.usage);
  const to = stpAddress('-W', value, partsOf('-W', value));
  try {
    const { system, names } = systemOf(to.system);
    rules.check(to.port, names);
    await joinStdio(await connectStp({ system, port: to.port }, connectTimeoutMs));
  } catch (error) {
    throw new CliFailure(`${shownStp(to)}: ${(error as Error).message}`);
  }
  // Standard input may still be open.
  process.exit(ExitCode.ok);
}
