/** What the command line of `stp bridge` says, checked. */
import {
  type BridgeOptions,
  Credentials,
  type Forward,
  localForward,
  localUdpForward,
  proxyForward,
  type ProxyVersion,
  Rate,
  remoteForward,
  type Side,
  TargetRules,
} from '../../bridge';
import { CliFailure, ExitCode } from '../failure';
import { type BridgeCommandOptions } from './command';

const SECONDS_MAX = 86_400;
const CONNECTIONS_MAX = 1_000_000;

/** Throws ESTPCONFIG or a CliFailure for what is wrong. */
export function settingsOf(options: BridgeCommandOptions): BridgeOptions {
  return {
    rules: new TargetRules(options.allow, options.deny),
    credentials: options.authFile === undefined ? undefined : Credentials.read(options.authFile),
    connectTimeoutMs: secondsOf('--connect-timeout', options.connectTimeout, 0.001),
    handshakeTimeoutMs: secondsOf('--handshake-timeout', options.handshakeTimeout, 0.001),
    idleTimeoutMs: secondsOf('--idle-timeout', options.idleTimeout, 0),
    keepAliveMs: secondsOf('--keep-alive', options.keepAlive, 0),
    rate: options.maxRate === undefined ? undefined : new Rate(bytesOf('--max-rate', options.maxRate)),
    retryMs: secondsOf('--retry', options.retry, 0),
    connectionsMax: wholeNumber('--max-connections', options.maxConnections, CONNECTIONS_MAX),
    flowsMax: wholeNumber('--max-flows', options.maxFlows, CONNECTIONS_MAX),
    flowTimeoutMs: secondsOf('--flow-timeout', options.flowTimeout, 0.001),
    acceptProxy: new Set(options.acceptProxy.map((side) => sideOf('--accept-proxy', side))),
    sendProxy: new Map([
      ...options.sendProxy.map((side) => [sideOf('--send-proxy', side), 1] as [Side, ProxyVersion]),
      ...options.sendProxyV2.map((side) => [sideOf('--send-proxy-v2', side), 2] as [Side, ProxyVersion]),
    ]),
  };
}

function sideOf(option: string, text: string): Side {
  if (text === 'local' || text === 'remote') return text;
  throw new CliFailure(
    `${option} ${text}: must be local or remote`,
    ExitCode.usage,
    'local: connections of -L, -D and -H; remote: those of -R',
  );
}

/** Seconds of the command line, in milliseconds. */
export function secondsOf(option: string, text: string, least: number): number {
  const seconds = /^\d+(\.\d+)?$/u.test(text) ? Number(text) : -1;
  if (seconds < least || seconds > SECONDS_MAX)
    throw new CliFailure(`${option} ${text}: must be seconds, up to ${SECONDS_MAX}`, ExitCode.usage);
  return Math.round(seconds * 1000);
}

const UNITS: Readonly<Record<string, number>> = { '': 1, K: 1024, M: 1_048_576, G: 1_073_741_824 };
const RATE_MIN_BYTES = 1024;
const RATE_MAX_BYTES = 1024 * 1_073_741_824;

function bytesOf(option: string, text: string): number {
  const [, digits = '', unit = ''] = /^(\d{1,13})([KMG]?)$/u.exec(text) ?? [];
  const bytes = digits === '' ? 0 : Number(digits) * (UNITS[unit] ?? 0);
  if (bytes < RATE_MIN_BYTES || bytes > RATE_MAX_BYTES)
    throw new CliFailure(`${option} ${text}: must be bytes a second, from 1K to 1024G`, ExitCode.usage);
  return bytes;
}

function wholeNumber(option: string, text: string, most: number): number {
  const number = /^\d{1,7}$/u.test(text) ? Number(text) : 0;
  if (number < 1 || number > most)
    throw new CliFailure(`${option} ${text}: must be a whole number from 1 to ${most}`, ExitCode.usage);
  return number;
}

export function forwardsOf(options: BridgeCommandOptions): Forward[] {
  return [
    ...options.local.map(localForward),
    ...options.remote.map(remoteForward),
    ...options.udp.map(localUdpForward),
    ...options.socks.map((value) => proxyForward('socks', value)),
    ...options.http.map((value) => proxyForward('http', value)),
  ];
}
