/** Datagrams between a SOCKS client and its relay (RFC 1928, section 7): each has a header with its target. */
import { AddressType, IPV4_BYTES, IPV6_BYTES, shownIpv6 } from './socks';
import { type Target } from './rules';

/** Two bytes that are 0, and the number of the fragment. */
const BEGIN_BYTES = 3;
const PORT_BYTES = 2;

export interface SocksDatagram {
  readonly target: Target;
  /** As the client wrote it: answers have the same. */
  readonly header: Buffer;
  readonly datagram: Buffer;
}

/** Undefined for what is none, and for fragments: no fragment is put together here, as the RFC allows. */
export function readSocksDatagram(bytes: Buffer): SocksDatagram | undefined {
  if (bytes.length <= BEGIN_BYTES || bytes.readUIntBE(0, BEGIN_BYTES) !== 0) return undefined;
  const type = bytes[BEGIN_BYTES];
  let at = BEGIN_BYTES + 1;
  let hostBytes: number;
  if (type === AddressType.ipv4) hostBytes = IPV4_BYTES;
  else if (type === AddressType.ipv6) hostBytes = IPV6_BYTES;
  else if (type === AddressType.name) {
    hostBytes = bytes[at] ?? 0;
    at += 1;
  } else return undefined;
  const end = at + hostBytes + PORT_BYTES;
  if (hostBytes === 0 || bytes.length < end) return undefined;
  const address = bytes.subarray(at, at + hostBytes);
  const port = bytes.readUInt16BE(at + hostBytes);
  if (port === 0) return undefined;
  const host =
    type === AddressType.ipv4
      ? [...address].join('.')
      : type === AddressType.ipv6
        ? shownIpv6(address)
        : String(address);
  return { target: { host, port }, header: bytes.subarray(0, end), datagram: bytes.subarray(end) };
}
