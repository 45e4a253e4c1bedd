/** What a bridge forwards: ssh's grammar, turned into what listens and what is called. */
import {
  isPath,
  listenAddress,
  partsOf,
  portOf,
  shownStp,
  shownTcp,
  type StpAddress,
  stpAddress,
  type TcpAddress,
  targetAddress,
  wrongAddress,
} from './address';
import { type Target } from './rules';

const UDP = 'udp';
const NO_PATHS = 'UDP has no paths';

/** From TCP to a socket of the region. */
export interface LocalForward {
  readonly kind: 'local';
  readonly listen: TcpAddress;
  readonly to: StpAddress;
}

/** From a port of this system in the region to TCP. Port 0: one is chosen. */
export interface RemoteForward {
  readonly kind: 'remote';
  readonly port: number;
  readonly to: TcpAddress;
}

/** Clients say themselves which system and port of the region they want. */
export interface ProxyForward {
  readonly kind: 'socks' | 'http';
  readonly listen: TcpAddress;
}

/** The same the other way: clients come from the region and say which TCP host and port they want. */
export interface RemoteProxyForward {
  readonly kind: 'remote-socks';
  readonly port: number;
}

/** Datagrams of UDP to a port of a system of the region, each client of them on a stream of its own. */
export interface LocalUdpForward {
  readonly kind: 'local-udp';
  readonly listen: Target;
  readonly to: StpAddress;
}

/** From a port of this system in the region to UDP. */
export interface RemoteUdpForward {
  readonly kind: 'remote-udp';
  readonly port: number;
  readonly to: Target;
}

export type StreamForward = LocalForward | RemoteForward | ProxyForward | RemoteProxyForward;
export type UdpForward = LocalUdpForward | RemoteUdpForward;
export type Forward = StreamForward | UdpForward;

/** `-L [bind:]port:system:port` or `-L path:system:port`. */
export function localForward(value: string): LocalForward {
  const option = '-L';
  const parts = partsOf(option, value);
  const listens = parts.length === 3 ? 1 : 2;
  if (parts.length !== listens + 2) throw wrongAddress(option, value, '[bind:]port:system:port is wanted');
  return {
    kind: 'local',
    listen: listenAddress(option, value, parts.slice(0, listens)),
    to: stpAddress(option, value, parts.slice(listens)),
  };
}

/** `-U [bind:]port:system:port`. */
export function localUdpForward(value: string): LocalUdpForward {
  const option = '-U';
  const parts = partsOf(option, value);
  if (parts.length !== 3 && parts.length !== 4) throw wrongAddress(option, value, '[bind:]port:system:port is wanted');
  const listen = listenAddress(option, value, parts.slice(0, -2));
  if ('path' in listen) throw wrongAddress(option, value, NO_PATHS);
  return { kind: 'local-udp', listen, to: stpAddress(option, value, parts.slice(-2)) };
}

/** `-R udp:[port:]host:port`; the parts are those behind the prefix. */
function remoteUdpForward(value: string, parts: readonly string[]): RemoteUdpForward {
  const option = '-R';
  const [first = ''] = parts;
  if (parts.some(isPath)) throw wrongAddress(option, value, NO_PATHS);
  if (parts.length > 3) throw wrongAddress(option, value, 'udp:[port:]host:port is wanted');
  const to = targetAddress(option, value, parts.slice(-2));
  if ('path' in to) throw wrongAddress(option, value, NO_PATHS);
  return { kind: 'remote-udp', port: parts.length === 3 ? portOf(option, value, first, 0) : to.port, to };
}

/** `-R [port:]host:port`, `-R [port:]path`, `-R udp:[port:]host:port`, or `-R port` alone: SOCKS. */
export function remoteForward(value: string): RemoteForward | RemoteProxyForward | RemoteUdpForward {
  const option = '-R';
  const parts = partsOf(option, value);
  // With two parts it is a host of that name; of three, the first would be a port.
  if (parts.length > 2 && parts[0] === UDP) return remoteUdpForward(value, parts.slice(1));
  const [first = '', second = ''] = parts;
  if (parts.length === 1 && !isPath(first)) return { kind: 'remote-socks', port: portOf(option, value, first, 0) };
  if (parts.length === 1) throw wrongAddress(option, value, 'a path needs the port before it, as in 5432:/run/db.sock');
  if (parts.length > 3) throw wrongAddress(option, value, '[port:]host:port is wanted');
  if (parts.length === 3 || isPath(second)) {
    const port = portOf(option, value, first, 0);
    return { kind: 'remote', port, to: targetAddress(option, value, parts.slice(1)) };
  }
  const to = targetAddress(option, value, parts);
  return { kind: 'remote', port: portOf(option, value, second, 1), to };
}

/** `-D [bind:]port` (SOCKS) and `-H [bind:]port` (HTTP), or a path. */
export function proxyForward(kind: ProxyForward['kind'], value: string): ProxyForward {
  const option = kind === 'socks' ? '-D' : '-H';
  const parts = partsOf(option, value);
  if (parts.length > 2) throw wrongAddress(option, value, '[bind:]port is wanted');
  return { kind, listen: listenAddress(option, value, parts) };
}

/** Whether one can take the other's place without a moment in which nothing listens. Port 0 is none in common. */
export function sameListener(a: Forward, b: Forward): boolean {
  // Flows of UDP go to the target that they began with.
  if (isUdp(a) || isUdp(b)) return false;
  if ('listen' in a)
    return 'listen' in b && !('port' in a.listen && a.listen.port === 0) && sameTcp(a.listen, b.listen);
  return !('listen' in b) && a.port !== 0 && a.port === b.port;
}

function isUdp(forward: Forward): forward is UdpForward {
  return forward.kind === 'local-udp' || forward.kind === 'remote-udp';
}

function sameTcp(a: TcpAddress, b: TcpAddress): boolean {
  if ('path' in a) return 'path' in b && a.path === b.path;
  return 'port' in b && a.host === b.host && a.port === b.port;
}

/** The forward with the listening side of another, which has the real port. */
export function withListener(forward: Forward, real: Forward): Forward {
  // Those of UDP are opened anew for another target, see sameListener.
  if (isUdp(forward) || isUdp(real)) return real;
  if ('listen' in forward) return 'listen' in real ? { ...forward, listen: real.listen } : forward;
  return 'listen' in real ? forward : { ...forward, port: real.port };
}

/** One line for people: what listens, and where it leads. */
export function shownForward(forward: Forward): string {
  switch (forward.kind) {
    case 'local':
      return `${shownTcp(forward.listen)} -> ${shownStp(forward.to)}`;
    case 'local-udp':
      return `${shownTcp(forward.listen)}/udp -> ${shownStp(forward.to)}`;
    case 'remote-udp':
      return `${shownStp({ system: '', port: forward.port })} -> ${shownTcp(forward.to)}/udp`;
    case 'remote':
      return `${shownStp({ system: '', port: forward.port })} -> ${shownTcp(forward.to)}`;
    case 'socks':
      return `${shownTcp(forward.listen)} -> the region, by SOCKS`;
    case 'http':
      return `${shownTcp(forward.listen)} -> the region, by HTTP`;
    case 'remote-socks':
      return `${shownStp({ system: '', port: forward.port })} -> TCP, by SOCKS`;
  }
}
