/**
 * A datagram to a Unix socket, which Node can't send: systemd is told in this way that a service is ready. Through
 * koffi, as all of src/storage/native.ts, and loaded when the first one is sent.
 */
import os from 'node:os';
import { loadKoffi } from './native';

const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2_000_000;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const FAMILY_BYTES = 2;

interface Calls {
  readonly socket: (family: number, type: number, protocol: number) => number;
  readonly sendto: (...call: [number, Buffer, number, number, Buffer, number]) => number;
  readonly close: (fd: number) => number;
  readonly errno: () => number;
}

let calls: Calls | undefined;

/**
 * Sends it without waiting; 0, or the errno. A path that begins with `@` is an abstract one. Throws where it can't be
 * tried: without koffi, and on other systems than Linux.
 */
export function sendUnixDatagram(path: string, message: string): number {
  if (os.platform() !== 'linux') throw new Error(`no datagrams on ${os.platform()}`);
  calls ??= loadCalls();
  const { socket, sendto, close, errno } = calls;
  const fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return errno();
  const bytes = Buffer.from(message);
  const address = addressOf(path);
  const sent = sendto(fd, bytes, bytes.length, MSG_DONTWAIT | MSG_NOSIGNAL, address, address.length);
  const failure = sent < 0 ? errno() : 0;
  close(fd);
  return failure;
}

/**
 * struct sockaddr_un: the family in the order of the machine, and the path. An abstract one begins with a zero byte.
 */
function addressOf(path: string): Buffer {
  const family = Buffer.from(Uint16Array.of(AF_UNIX).buffer, 0, FAMILY_BYTES);
  return Buffer.concat([family, Buffer.from(path.startsWith('@') ? `\0${path.slice(1)}` : `${path}\0`)]);
}

function loadCalls(): Calls {
  const koffi = loadKoffi();
  const libc = koffi.load(null);
  return {
    socket: libc.func('int socket(int family, int type, int protocol)') as Calls['socket'],
    sendto: libc.func(
      'int64_t sendto(int fd, void *message, size_t bytes, int flags, void *address, uint32_t address_bytes)',
    ) as Calls['sendto'],
    close: libc.func('int close(int fd)') as Calls['close'],
    errno: () => koffi.errno(),
  };
}
