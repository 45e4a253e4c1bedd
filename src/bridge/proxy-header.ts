/**
 * Headers of the PROXY protocol, versions 1 and 2, as HAProxy's specification has them: which addresses the first
 * client of a connection had and called.
 *
 * Each field is checked, and no more is read than the header: what follows it is the client's.
 */
import { isIP } from 'node:net';
import { type Readable } from 'node:stream';
import { StpError } from '../errors';
import { PORT_MAX } from './address';
import { ByteReader } from './byte-reader';
import { type Target } from './rules';

/** The two ends of a connection, both IPv4 or both IPv6. */
export interface ProxyEnds {
  readonly source: Target;
  readonly destination: Target;
}

export type ProxyVersion = 1 | 2;

const V1_BEGIN = 'PROXY ';
/** With the end of the line. */
const V1_MAX_BYTES = 107;
const V2_SIGNATURE = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');
const V2_HEAD_BYTES = 4;
/** Of addresses and what else is told with them (TLV); the specification has no limit of its own. */
const V2_REST_MAX_BYTES = 4096;
const V2 = 0x20;
const Command = { local: 0, proxy: 1 } as const;
const STREAM = 1;
const Family = { unspecified: 0, ipv4: 1, ipv6: 2, unix: 3 } as const;
const ADDRESS_BYTES = { [Family.ipv4]: 4, [Family.ipv6]: 16 } as const;
const UNIX_BYTES = 216;
const LINE_END = '\r\n';

function wrong(why: string): StpError {
  return new StpError('EINVAL', why, 'PROXY');
}

/** Reads the header at the beginning of a stream. Undefined: it tells no addresses. Rejects where it is none. */
export async function readProxyHeader(stream: Readable): Promise<ProxyEnds | undefined> {
  const reader = new ByteReader(stream);
  try {
    const first = await reader.take(1);
    if (first[0] === V2_SIGNATURE[0]) return await readVersion2(reader);
    if (first.toString('latin1') === V1_BEGIN.charAt(0)) return await readVersion1(reader);
    throw wrong('the client did not begin with a header of the PROXY protocol');
  } finally {
    reader.release();
  }
}

async function readVersion1(reader: ByteReader): Promise<ProxyEnds | undefined> {
  let line = V1_BEGIN.charAt(0);
  while (!line.endsWith(LINE_END)) {
    if (line.length >= V1_MAX_BYTES) throw wrong(`a line of more than ${V1_MAX_BYTES} bytes`);
    line += (await reader.take(1)).toString('latin1');
    const length = Math.min(line.length, V1_BEGIN.length);
    if (line.slice(0, length) !== V1_BEGIN.slice(0, length)) throw wrong('a line that does not begin with PROXY');
  }
  const words = line.slice(V1_BEGIN.length, -LINE_END.length).split(' ');
  const [kind, source = '', destination = '', sourcePort = '', destinationPort = ''] = words;
  if (kind === 'UNKNOWN') return undefined;
  const family = kind === 'TCP4' ? 4 : kind === 'TCP6' ? 6 : 0;
  const isWhole = [source, destination].every((host) => isIP(host) === family && !host.includes('%'));
  if (family === 0 || words.length !== 5 || !isWhole) throw wrong('a line without two addresses of its kind');
  return {
    source: { host: spelled(source), port: portOf(sourcePort) },
    destination: { host: spelled(destination), port: portOf(destinationPort) },
  };
}

/** The shortest spelling, as everywhere. */
function spelled(host: string): string {
  return isIP(host) === 6 ? new URL(`http://[${host}]/`).hostname.slice(1, -1) : host;
}

function portOf(text: string): number {
  const port = /^(?:0|[1-9]\d{0,4})$/u.test(text) ? Number(text) : PORT_MAX + 1;
  if (port > PORT_MAX) throw wrong('a port that is none');
  return port;
}

async function readVersion2(reader: ByteReader): Promise<ProxyEnds | undefined> {
  const rest = await reader.take(V2_SIGNATURE.length - 1);
  if (!rest.equals(V2_SIGNATURE.subarray(1))) throw wrong('a signature that is none of version 2');
  const head = await reader.take(V2_HEAD_BYTES);
  const [version = 0, kind = 0] = head;
  const lengthBytes = head.readUInt16BE(2);
  const command = version & 0x0f;
  const family = kind >> 4;
  if ((version & 0xf0) !== V2 || command > Command.proxy) throw wrong('a version or command that is not known');
  if (family > Family.unix || (kind & 0x0f) > 2) throw wrong('a kind of address that is not known');
  if (lengthBytes > V2_REST_MAX_BYTES) throw wrong(`a header of more than ${V2_REST_MAX_BYTES} bytes`);
  const bytes = lengthBytes === 0 ? Buffer.alloc(0) : await reader.take(lengthBytes);
  if (command === Command.local || family === Family.unspecified) return undefined;
  if (family === Family.unix) {
    if (lengthBytes < UNIX_BYTES) throw wrong('a header that is too short for its addresses');
    return undefined;
  }
  return endsOf(bytes, family === Family.ipv4 ? Family.ipv4 : Family.ipv6);
}

function endsOf(bytes: Buffer, family: keyof typeof ADDRESS_BYTES): ProxyEnds {
  const size = ADDRESS_BYTES[family];
  if (bytes.length < 2 * size + 4) throw wrong('a header that is too short for its addresses');
  const hostAt = (at: number): string => hostOf(bytes.subarray(at, at + size));
  return {
    source: { host: hostAt(0), port: bytes.readUInt16BE(2 * size) },
    destination: { host: hostAt(size), port: bytes.readUInt16BE(2 * size + 2) },
  };
}

function hostOf(bytes: Buffer): string {
  if (bytes.length === ADDRESS_BYTES[Family.ipv4]) return [...bytes].join('.');
  const groups = Array.from({ length: bytes.length / 2 }, (_, at) => bytes.readUInt16BE(at * 2).toString(16));
  return spelled(groups.join(':'));
}

/** A header to send. Where there are no addresses it says so. */
export function proxyHeader(version: ProxyVersion, ends: ProxyEnds | undefined): Buffer {
  return version === 1 ? Buffer.from(lineOf(ends), 'latin1') : blockOf(ends);
}

function lineOf(ends: ProxyEnds | undefined): string {
  if (ends === undefined) return `${V1_BEGIN}UNKNOWN${LINE_END}`;
  const { source, destination } = ends;
  const kind = isIP(source.host) === 4 ? 'TCP4' : 'TCP6';
  const words = [kind, source.host, destination.host, source.port, destination.port];
  return `${V1_BEGIN}${words.join(' ')}${LINE_END}`;
}

function blockOf(ends: ProxyEnds | undefined): Buffer {
  if (ends === undefined) return Buffer.concat([V2_SIGNATURE, Buffer.from([V2 | Command.local, 0, 0, 0])]);
  const { source, destination } = ends;
  const family = isIP(source.host) === 4 ? Family.ipv4 : Family.ipv6;
  const size = ADDRESS_BYTES[family];
  const head = Buffer.from([V2 | Command.proxy, (family << 4) | STREAM, 0, 2 * size + 4]);
  const ports = Buffer.alloc(4);
  ports.writeUInt16BE(source.port, 0);
  ports.writeUInt16BE(destination.port, 2);
  return Buffer.concat([V2_SIGNATURE, head, bytesOf(source.host), bytesOf(destination.host), ports]);
}

function bytesOf(host: string): Buffer {
  if (isIP(host) === 4) return Buffer.from(host.split('.').map(Number));
  // All eight groups: "::" stands for those that are missing.
  const [before = '', after] = spelled(host).split('::');
  const first = before === '' ? [] : before.split(':');
  const last = after === undefined || after === '' ? [] : after.split(':');
  const zeros = Array<string>(Math.max(0, 8 - first.length - last.length)).fill('0');
  const bytes = Buffer.alloc(ADDRESS_BYTES[Family.ipv6]);
  [...first, ...zeros, ...last].forEach((group, at) => bytes.writeUInt16BE(Number.parseInt(group, 16), at * 2));
  return bytes;
}
