/**
 * What a SOCKS client asks for: SOCKS4, 4a and 5 (RFC 1928, 1929), the commands CONNECT and, in version 5, UDP
 * ASSOCIATE. Names are not looked up here.
 *
 * A client has said what it wants with the bytes of its handshake alone: what follows them is left in the stream.
 */
import { isIPv4 } from 'node:net';
import { type Duplex } from 'node:stream';
import { type ErrorCode, StpError } from '../errors';
import { ByteReader } from './byte-reader';
import { type Credentials } from './credentials';
import { type Target } from './rules';

const VERSION_4 = 4;
const VERSION_5 = 5;
const CONNECT = 1;
const UDP_ASSOCIATE = 3;
const Auth = { none: 0, password: 2, refused: 0xff } as const;
const PASSWORD_VERSION = 1;
export const AddressType = { ipv4: 1, name: 3, ipv6: 4 } as const;
export const IPV4_BYTES = 4;
export const IPV6_BYTES = 16;
/** Of a name of DNS. */
const NAME_MAX_BYTES = 255;
const USER_MAX_BYTES = 255;

/** RFC 1928, "REP". */
const Reply5 = {
  ok: 0,
  failed: 1,
  notAllowed: 2,
  hostUnreachable: 4,
  refused: 5,
  timedOut: 6,
  commandNotSupported: 7,
  addressTypeNotSupported: 8,
} as const;
const Reply4 = { ok: 90, failed: 91 } as const;

const REPLIES: Partial<Record<ErrorCode | 'ENOTFOUND', number>> = {
  EACCES: Reply5.notAllowed,
  EHOSTUNREACH: Reply5.hostUnreachable,
  ENOTFOUND: Reply5.hostUnreachable,
  ECONNREFUSED: Reply5.refused,
  ETIMEDOUT: Reply5.timedOut,
  EOPNOTSUPP: Reply5.commandNotSupported,
};

/** A request, and the way to answer it. */
export interface SocksRequest {
  /** For UDP: where the client sends from, with port 0 where it does not know. */
  readonly target: Target;
  /** Datagrams of UDP are wanted, not a connection. */
  readonly isUdp?: boolean;
  /** Undefined: connected. Else the code of the error. `bound` is where datagrams are to be sent. */
  answer(code?: string, bound?: Target): void;
}

const NOWHERE: Target = { host: '0.0.0.0', port: 0 };

function refusal(why: string): StpError {
  return new StpError('EINVAL', why, 'SOCKS');
}

/** Reads the handshake. Rejects where it is none, after the reply that says so. */
export async function readSocks(stream: Duplex, credentials: Credentials | undefined): Promise<SocksRequest> {
  const reader = new ByteReader(stream);
  try {
    const [version = 0] = await reader.take(1);
    if (version === VERSION_5) return await readVersion5(stream, reader, credentials);
    if (version === VERSION_4) return await readVersion4(stream, reader, credentials);
    throw refusal(`version ${version}`);
  } finally {
    reader.release();
  }
}

async function readVersion4(
  stream: Duplex,
  reader: ByteReader,
  credentials: Credentials | undefined,
): Promise<SocksRequest> {
  const head = await reader.take(7);
  await reader.takeText(USER_MAX_BYTES);
  const answer = (code?: string): void => {
    stream.write(Buffer.from([0, code === undefined ? Reply4.ok : Reply4.failed, 0, 0, 0, 0, 0, 0]));
  };
  const address = head.subarray(3);
  // 4a: an address of 0.0.0.x says that a name follows.
  const named = address.readUIntBE(0, 3) === 0 && address[3] !== 0;
  const host = named ? await reader.takeText(NAME_MAX_BYTES) : [...address].join('.');
  const port = head.readUInt16BE(1);
  // Version 4 has no password.
  if (credentials !== undefined || head[0] !== CONNECT || host === '' || port === 0) {
    answer('EACCES');
    throw refusal('a request that is not supported');
  }
  return { target: { host, port }, answer };
}

async function readVersion5(
  stream: Duplex,
  reader: ByteReader,
  credentials: Credentials | undefined,
): Promise<SocksRequest> {
  await authenticate(stream, reader, credentials);
  const [version, command, , type] = await reader.take(4);
  const reply = (code: number, bound: Target = NOWHERE): void => {
    stream.write(Buffer.from([VERSION_5, code, 0, ...addressBytes(bound)]));
  };
  if (version !== VERSION_5) throw refusal('a request of another version');
  const host = await readHost(reader, type ?? 0);
  const port = (await reader.take(2)).readUInt16BE();
  const wrong =
    host === undefined
      ? Reply5.addressTypeNotSupported
      : command !== CONNECT && command !== UDP_ASSOCIATE
        ? Reply5.commandNotSupported
        : command === CONNECT && (host === '' || port === 0)
          ? Reply5.failed
          : undefined;
  if (host === undefined || wrong !== undefined) {
    reply(wrong ?? Reply5.failed);
    throw refusal('a request that is not supported');
  }
  return {
    target: { host, port },
    isUdp: command === UDP_ASSOCIATE,
    answer: (code, bound) => {
      reply(code === undefined ? Reply5.ok : (REPLIES[code as ErrorCode] ?? Reply5.failed), bound);
    },
  };
}

async function authenticate(stream: Duplex, reader: ByteReader, credentials: Credentials | undefined): Promise<void> {
  const [count = 0] = await reader.take(1);
  const offered = count === 0 ? Buffer.alloc(0) : await reader.take(count);
  const wanted = credentials === undefined ? Auth.none : Auth.password;
  if (!offered.includes(wanted)) {
    stream.write(Buffer.from([VERSION_5, Auth.refused]));
    throw refusal('no way to log in that is allowed');
  }
  stream.write(Buffer.from([VERSION_5, wanted]));
  if (credentials === undefined) return;
  const [version] = await reader.take(1);
  if (version !== PASSWORD_VERSION) throw refusal('a password of another version');
  const name = await readField(reader);
  const password = await readField(reader);
  const accepted = credentials.accepts(name, password);
  stream.write(Buffer.from([PASSWORD_VERSION, accepted ? 0 : 1]));
  if (!accepted) throw refusal('a wrong name or password');
}

async function readField(reader: ByteReader): Promise<string> {
  const [lengthBytes = 0] = await reader.take(1);
  return lengthBytes === 0 ? '' : (await reader.take(lengthBytes)).toString();
}

/** Undefined for a kind of address that there is not: how long it would be is not known either. */
async function readHost(reader: ByteReader, type: number): Promise<string | undefined> {
  if (type === AddressType.ipv4) return [...(await reader.take(IPV4_BYTES))].join('.');
  if (type === AddressType.name) return readField(reader);
  if (type !== AddressType.ipv6) return undefined;
  return shownIpv6(await reader.take(IPV6_BYTES));
}

/** In the shortest spelling, as everywhere. */
export function shownIpv6(bytes: Buffer): string {
  const groups = Array.from({ length: IPV6_BYTES / 2 }, (_, at) => bytes.readUInt16BE(at * 2).toString(16));
  return new URL(`http://[${groups.join(':')}]/`).hostname.slice(1, -1);
}

/** Kind, address and port of an IP address. */
function addressBytes({ host, port }: Target): number[] {
  const portBytes = [port >> 8, port & 0xff];
  if (isIPv4(host)) return [AddressType.ipv4, ...host.split('.').map(Number), ...portBytes];
  // Written as eight groups: `::` stands for those that are missing.
  const [before = '', after] = host.split('::');
  const groups = before === '' ? [] : before.split(':');
  const last = after === undefined || after === '' ? [] : after.split(':');
  const zeros = Array.from({ length: IPV6_BYTES / 2 - groups.length - last.length }, () => '0');
  const numbers = [...groups, ...zeros, ...last].map((group) => parseInt(group, 16));
  return [AddressType.ipv6, ...numbers.flatMap((number) => [number >> 8, number & 0xff]), ...portBytes];
}
