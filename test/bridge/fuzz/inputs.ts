/** What clients of a proxy may say: valid, mutated, cut off, random; in one piece or in many. */
import { type Random } from '../../engine/random';

export const NAME = 'ann';
export const PASSWORD = 'secret';
export const BASIC = Buffer.from(`${NAME}:${PASSWORD}`).toString('base64');

export interface Asked {
  readonly host: string;
  readonly port: number;
}

export interface Input {
  readonly pieces: readonly Buffer[];
  /** The client ends its direction behind them. */
  readonly ends: boolean;
  /** A target: it must be dialled. 'none': nothing may be. 'any': what is dialled must be a target. */
  readonly wanted: Asked | 'none' | 'any';
  /** The name and the password are among the bytes. */
  readonly knowsPassword: boolean;
}

const HOSTS = ['db', 'a.example', '10.0.0.7', 'x'.repeat(255)] as const;
const WORDS = [
  'GET ',
  'CONNECT ',
  'http://',
  'HTTP/1.1\r\n',
  'Host: ',
  'Upgrade: websocket\r\nConnection: upgrade\r\n',
  'Transfer-Encoding: chunked\r\n',
  'Content-Length: 5\r\n',
  'Content-Length: 999999999999\r\n',
  'Proxy-Authorization: Basic ',
  '\r\n\r\n',
  ':0',
  ':65536',
  '[::1]:80',
  '@',
  '\0',
  '%00',
].map((word) => Buffer.from(word));
const NUMBERS = [0, 1, 2, 3, 4, 5, 0x7f, 0x80, 0xff] as const;

const portBytes = (port: number): Buffer => Buffer.from([port >> 8, port & 0xff]);
const field = (text: string): Buffer => Buffer.concat([Buffer.from([Buffer.byteLength(text)]), Buffer.from(text)]);

function asked(random: Random): Asked {
  return { host: random.pick(HOSTS), port: random.between(1, 65_535) };
}

function validSocks5({ host, port }: Asked, password: boolean): Buffer {
  const isAddress = /^\d+\.\d+\.\d+\.\d+$/u.test(host);
  return Buffer.concat([
    Buffer.from(password ? [5, 2, 0, 2, 1] : [5, 1, 0]),
    ...(password ? [field(NAME), field(PASSWORD)] : []),
    Buffer.from([5, 1, 0, isAddress ? 1 : 3]),
    isAddress ? Buffer.from(host.split('.').map(Number)) : field(host),
    portBytes(port),
  ]);
}

function validSocks4({ host, port }: Asked, random: Random): Buffer {
  const isAddress = /^\d+\.\d+\.\d+\.\d+$/u.test(host);
  return Buffer.concat([
    Buffer.from([4, 1]),
    portBytes(port),
    Buffer.from(isAddress ? host.split('.').map(Number) : [0, 0, 0, random.between(1, 255)]),
    Buffer.from(`${'u'.repeat(random.below(20))}\0`),
    ...(isAddress ? [] : [Buffer.from(`${host}\0`)]),
  ]);
}

function validHttp({ host, port }: Asked, password: boolean, random: Random): Buffer {
  const login = password ? `Proxy-Authorization: Basic ${BASIC}\r\n` : '';
  const target = `${host}:${port}`;
  const first = random.chance(0.5) ? `CONNECT ${target}` : `GET http://${target}/a?b=c`;
  return Buffer.from(`${first} HTTP/1.1\r\nHost: ${target}\r\n${login}\r\n`);
}

function mutated(bytes: Buffer, random: Random): Buffer {
  let result = Buffer.from(bytes);
  for (let rounds = random.between(1, 3); rounds > 0; rounds--) {
    const at = random.below(result.length + 1);
    const kind = random.below(4);
    if (kind === 0 && result.length > 0) result[at % result.length] = random.pick(NUMBERS);
    else if (kind === 1) result = Buffer.concat([result.subarray(0, at), result.subarray(at + random.between(1, 9))]);
    else if (kind === 2) result = Buffer.concat([result.subarray(0, at), random.pick(WORDS), result.subarray(at)]);
    else result = Buffer.concat([result.subarray(0, at), random.bytes(random.between(1, 12)), result.subarray(at)]);
  }
  return result;
}

function split(bytes: Buffer, random: Random): Buffer[] {
  if (bytes.length < 2 || random.chance(0.4)) return [bytes];
  const pieces: Buffer[] = [];
  let from = 0;
  for (let cuts = random.between(1, 4); cuts > 0 && from < bytes.length - 1; cuts--) {
    const to = random.between(from + 1, bytes.length - 1);
    pieces.push(bytes.subarray(from, to));
    from = to;
  }
  return [...pieces, bytes.subarray(from)];
}

/** One input of a protocol. `password`: the proxy wants one. */
export function inputOf(protocol: 'socks' | 'http', password: boolean, random: Random): Input {
  const target = asked(random);
  const useSocks4 = protocol === 'socks' && !password && random.chance(0.4);
  const valid =
    protocol === 'http'
      ? validHttp(target, password, random)
      : useSocks4
        ? validSocks4(target, random)
        : validSocks5(target, password);
  const kind = random.below(10);
  const bytes =
    kind < 2
      ? valid
      : kind < 4
        ? valid.subarray(0, random.below(valid.length))
        : kind < 9
          ? mutated(valid, random)
          : Buffer.from(random.bytes(random.below(400)));
  const text = bytes.toString('latin1');
  return {
    pieces: split(bytes, random),
    ends: kind >= 2 && random.chance(0.7),
    wanted: kind < 2 ? target : kind < 4 ? 'none' : 'any',
    knowsPassword: protocol === 'http' ? /[\w+/=]{8}/u.test(text) && text.includes('asic') : text.includes(PASSWORD),
  };
}

/** Why what was dialled should not have been; undefined where it is right. */
export function breach(input: Input, password: boolean, dialled: readonly Asked[]): string | undefined {
  const { wanted } = input;
  if (wanted === 'none' && dialled.length > 0) return 'a request that is cut off was dialled';
  if (password && !input.knowsPassword && dialled.length > 0) return 'dialled without the password';
  for (const { host, port } of dialled) {
    if (host === '' || host.length > 255 || !Number.isInteger(port) || port < 1 || port > 65_535)
      return `dialled ${JSON.stringify(host)}:${port}, which is no target`;
  }
  if (typeof wanted === 'string') return undefined;
  const [first] = dialled;
  return first?.host === wanted.host && first.port === wanted.port && dialled.length === 1
    ? undefined
    : `dialled ${JSON.stringify(dialled)}, not ${JSON.stringify(wanted)}`;
}
