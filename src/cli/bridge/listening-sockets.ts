/**
 * The TCP and Unix sockets of this host that listen, and the processes that have them, as /proc tells it. Linux alone;
 * elsewhere, and where /proc is not there, there is nothing to see.
 */
import fs from 'node:fs';
import { type TcpAddress } from '../../bridge';

export interface ListeningSocket {
  readonly address: TcpAddress;
  readonly inode: string;
}

export interface SocketHolder {
  readonly pid: number;
  readonly command: string;
}

const TCP_LISTEN = '0A';
const UDP_UNCONNECTED = '07';
/** Of the flags in /proc/net/unix: it accepts connections. */
const UNIX_LISTENS = 0x10000;
const WORD_DIGITS = 8;
const COMMAND_MAX = 80;

export function listeningSockets(): ListeningSocket[] {
  return [
    ...inetSockets('/proc/self/net/tcp', TCP_LISTEN),
    ...inetSockets('/proc/self/net/tcp6', TCP_LISTEN),
    ...unixListeners(),
  ];
}

/** Sockets of UDP that are bound. */
export function boundUdpSockets(): ListeningSocket[] {
  return [
    ...inetSockets('/proc/self/net/udp', UDP_UNCONNECTED),
    ...inetSockets('/proc/self/net/udp6', UDP_UNCONNECTED),
  ];
}

/** A process that has the socket, the first one; undefined where this user may see none. */
export function holderOfSocket(inode: string): SocketHolder | undefined {
  const link = `socket:[${inode}]`;
  const pids = namesIn('/proc')
    .filter((name) => /^\d+$/u.test(name))
    .map(Number)
    .sort((a, b) => a - b);
  const pid = pids.find((one) => namesIn(`/proc/${one}/fd`).some((fd) => linkOf(`/proc/${one}/fd/${fd}`) === link));
  return pid === undefined ? undefined : { pid, command: commandOf(pid) };
}

/** The inode of the socket that a descriptor of this process is; undefined where it is none. */
export function inodeOf(fd: number): string | undefined {
  return /^socket:\[(\d+)\]$/u.exec(linkOf(`/proc/self/fd/${fd}`) ?? '')?.[1];
}

function inetSockets(file: string, wantedState: string): ListeningSocket[] {
  return rowsOf(file).flatMap((row) => {
    const [, local = '', , state, , , , , , inode = ''] = row;
    const [host = '', port = ''] = local.split(':');
    if (state !== wantedState) return [];
    return [{ address: { host: hostOf(host), port: Number.parseInt(port, 16) }, inode }];
  });
}

function unixListeners(): ListeningSocket[] {
  return rowsOf('/proc/self/net/unix').flatMap((row) => {
    const [, , , flags = '0', , , inode = '', ...rest] = row;
    const listens = (Number.parseInt(flags, 16) & UNIX_LISTENS) !== 0;
    return listens && rest.length > 0 ? [{ address: { path: rest.join(' ') }, inode }] : [];
  });
}

/** An address as the kernel prints it: words of 32 bits in the order of the machine. */
function hostOf(hex: string): string {
  const bytes: number[] = [];
  for (let at = 0; at < hex.length; at += WORD_DIGITS) {
    const word = Buffer.from(hex.slice(at, at + WORD_DIGITS), 'hex');
    bytes.push(...word.reverse());
  }
  if (bytes.length === 4) return bytes.join('.');
  const groups = Array.from({ length: bytes.length / 2 }, (_, at) =>
    (((bytes[at * 2] ?? 0) << 8) | (bytes[at * 2 + 1] ?? 0)).toString(16),
  );
  // The shortest spelling, as everywhere.
  return new URL(`http://[${groups.join(':')}]/`).hostname.slice(1, -1);
}

function commandOf(pid: number): string {
  const words = textOf(`/proc/${pid}/cmdline`).split('\0').join(' ').trim();
  const command = words === '' ? textOf(`/proc/${pid}/comm`).trim() : words;
  // It goes on one line of a terminal.
  const printable = command.replaceAll(/[^\x20-\x7e]/gu, '?');
  return printable.length > COMMAND_MAX ? `${printable.slice(0, COMMAND_MAX - 3)}...` : printable;
}

/** The words of each line but the first, which has the titles. */
function rowsOf(file: string): string[][] {
  return textOf(file)
    .split('\n')
    .slice(1)
    .filter((line) => line !== '')
    .map((line) => line.trim().split(/\s+/u));
}

function textOf(file: string): string {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

function namesIn(directory: string): string[] {
  try {
    return fs.readdirSync(directory);
  } catch {
    return [];
  }
}

function linkOf(path: string): string | undefined {
  try {
    return fs.readlinkSync(path);
  } catch {
    return undefined;
  }
}
