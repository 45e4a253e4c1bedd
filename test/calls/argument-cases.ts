/**
 * The arguments that calls can't take, and the sockets that they are tried on: one in each state. Whoever imports this
 * has set the environment of the library before.
 */
import * as stp from '../../src/index';
import { type Kit } from './kit';

const { MSG_DONTWAIT, MSG_PEEK, PF_STP, SOCK_STREAM, SOL_SOCKET } = stp;

export interface Sockets {
  readonly fresh: number;
  readonly bound: number;
  readonly listening: number;
  readonly connecting: number;
  readonly a: number;
  readonly b: number;
  readonly shut: number;
  readonly reset: number;
  readonly given: number;
  readonly closed: number;
}

/** One socket in each state, all of this process. */
export async function sockets(kit: Kit): Promise<Sockets> {
  const fresh = kit.socket();
  const bound = kit.socket();
  stp.STPbind(bound, null);
  const { s: listening } = kit.listen();
  const busy = kit.listen(0, 1);
  const connecting = kit.socket();
  const connect = stp.STPconnect(connecting, { port: busy.port });
  connect.catch(() => undefined);
  const [a, b] = await kit.pair();
  const [shut] = await kit.pair();
  stp.STPshutdown(shut, 1);
  const [reset, resetting] = await kit.pair();
  stp.STPsetsockopt(resetting, SOL_SOCKET, stp.SO_LINGER, { onoff: true, linger: 0 });
  const told = new Promise<void>((resolve) => {
    stp.STPsetopt(reset, stp.STP_WATCHER, { reset: resolve });
  });
  await stp.STPclose(resetting);
  await told;
  const [given] = await kit.pair();
  stp.STPgivesocket(given, null);
  const closed = kit.socket();
  await stp.STPclose(closed);
  return { fresh, bound, listening, connecting, a, b, shut, reset, given, closed };
}

/** Something that fits no argument of its place. */
type Loose = (...args: readonly unknown[]) => unknown;
/** The calls, by name. */
export const loose = stp as unknown as Readonly<Record<string, Loose>>;

export interface Case {
  readonly call: string;
  readonly args: (s: Sockets) => readonly unknown[];
  readonly code: string;
  /** What the message must name. */
  readonly names?: RegExp;
}

const DESCRIPTOR_CALLS: Readonly<Record<string, readonly unknown[]>> = {
  STPbind: [{ port: 0 }],
  STPlisten: [5],
  STPconnect: [{ port: 1 }],
  STPaccept: [],
  STPsend: [Buffer.of(1)],
  STPrecv: [Buffer.alloc(1)],
  STPshutdown: [1],
  STPclose: [],
  STPgethostname: [],
  STPgetpeername: [],
  STPgetsockopt: [SOL_SOCKET, stp.SO_TYPE],
  STPsetsockopt: [SOL_SOCKET, stp.SO_KEEPALIVE, true],
  STPgetopt: [stp.STP_STATE],
  STPsetopt: [stp.STP_REF, true],
  STPgivesocket: [null],
};
const NO_DESCRIPTORS: readonly unknown[] = [
  -2,
  1.5,
  NaN,
  Infinity,
  16_384,
  2 ** 40,
  '0',
  null,
  undefined,
  {},
  [],
  true,
  0n,
  Symbol('s'),
  () => 0,
];

const at =
  (state: keyof Sockets, ...rest: readonly unknown[]) =>
  (s: Sockets): readonly unknown[] => [s[state], ...rest];
const just =
  (...args: readonly unknown[]) =>
  (): readonly unknown[] =>
    args;
const ADDRESS = { system: 'alpha', group: 'STG', port: 7 };

export const CASES: readonly Case[] = [
  ...Object.entries(DESCRIPTOR_CALLS).flatMap(([call, rest]) => [
    ...NO_DESCRIPTORS.map((s): Case => ({ call, args: just(s, ...rest), code: 'EBADF', names: /descriptor/u })),
    { call, args: at('closed', ...rest), code: 'EBADF' },
  ]),
  { call: 'STPsocket', args: just(2, SOCK_STREAM, PF_STP), code: 'EAFNOSUPPORT', names: /domain.*2/u },
  { call: 'STPsocket', args: just(), code: 'EAFNOSUPPORT', names: /domain/u },
  { call: 'STPsocket', args: just(PF_STP, 2, PF_STP), code: 'EPROTOTYPE', names: /type.*2/u },
  { call: 'STPsocket', args: just(PF_STP, SOCK_STREAM, 6), code: 'EPROTONOSUPPORT', names: /protocol.*6/u },
  { call: 'STPsocket', args: just('47', SOCK_STREAM, PF_STP), code: 'EAFNOSUPPORT' },

  { call: 'STPbind', args: at('fresh', 'stp://x:1/g'), code: 'EINVAL', names: /address/u },
  { call: 'STPbind', args: at('fresh', 5), code: 'EINVAL', names: /address/u },
  { call: 'STPbind', args: at('fresh', { ...ADDRESS, family: 2 }), code: 'EAFNOSUPPORT', names: /family 2/u },
  { call: 'STPbind', args: at('fresh', { ...ADDRESS, port: -1 }), code: 'EINVAL', names: /port.*-1/u },
  { call: 'STPbind', args: at('fresh', { ...ADDRESS, port: 65_536 }), code: 'EINVAL', names: /port/u },
  { call: 'STPbind', args: at('fresh', { ...ADDRESS, port: 1.5 }), code: 'EINVAL', names: /port/u },
  { call: 'STPbind', args: at('fresh', { ...ADDRESS, port: '80' }), code: 'EINVAL', names: /port/u },
  { call: 'STPbind', args: at('fresh', { ...ADDRESS, group: 'sixteen-letters-' }), code: 'EINVAL', names: /group/u },
  { call: 'STPbind', args: at('fresh', { ...ADDRESS, group: 'a b' }), code: 'EINVAL', names: /group/u },
  { call: 'STPbind', args: at('fresh', { ...ADDRESS, group: 5 }), code: 'EINVAL', names: /group/u },
  { call: 'STPbind', args: at('fresh', { ...ADDRESS, system: 'x'.repeat(64) }), code: 'EINVAL', names: /system/u },
  { call: 'STPbind', args: at('fresh', { ...ADDRESS, system: '../x' }), code: 'EINVAL', names: /system/u },
  { call: 'STPbind', args: at('fresh', { ...ADDRESS, system: 'beta' }), code: 'EADDRNOTAVAIL', names: /beta.*alpha/u },
  { call: 'STPbind', args: at('fresh', ADDRESS, -1), code: 'EINVAL', names: /length/u },
  { call: 'STPbind', args: at('fresh', ADDRESS, '16'), code: 'EINVAL', names: /length/u },
  { call: 'STPbind', args: (s) => [s.fresh, { port: stp.STPgethostname(s.bound).port }], code: 'EADDRINUSE' },
  { call: 'STPbind', args: at('bound', { port: 0 }), code: 'EINVAL', names: /has an address/u },
  { call: 'STPbind', args: at('a', { port: 0 }), code: 'EINVAL' },
  { call: 'STPbind', args: at('given', { port: 0 }), code: 'ESTPGIVEN' },

  { call: 'STPlisten', args: at('fresh', -1), code: 'EINVAL', names: /backlog/u },
  { call: 'STPlisten', args: at('fresh', 65_536), code: 'EINVAL', names: /backlog/u },
  { call: 'STPlisten', args: at('fresh', '5'), code: 'EINVAL', names: /backlog/u },
  { call: 'STPlisten', args: at('fresh'), code: 'EINVAL', names: /backlog/u },
  { call: 'STPlisten', args: at('a', 5), code: 'EISCONN' },
  { call: 'STPlisten', args: at('connecting', 5), code: 'EISCONN' },
  { call: 'STPlisten', args: at('reset', 5), code: 'EINVAL' },
  { call: 'STPlisten', args: at('given', 5), code: 'ESTPGIVEN' },

  { call: 'STPconnect', args: at('fresh'), code: 'EDESTADDRREQ' },
  { call: 'STPconnect', args: at('fresh', null), code: 'EDESTADDRREQ' },
  { call: 'STPconnect', args: at('fresh', {}), code: 'EINVAL', names: /port/u },
  { call: 'STPconnect', args: at('fresh', { port: 0 }), code: 'EINVAL', names: /port/u },
  { call: 'STPconnect', args: at('fresh', { port: 9, family: 'inet' }), code: 'EAFNOSUPPORT' },
  { call: 'STPconnect', args: at('fresh', { port: 9 }), code: 'ECONNREFUSED', names: /stp:\/\/alpha:9\/STG/u },
  { call: 'STPconnect', args: at('fresh', { port: 9, system: 'nowhere' }), code: 'EHOSTUNREACH', names: /nowhere/u },
  {
    call: 'STPconnect',
    args: (s) => [s.fresh, { ...stp.STPgethostname(s.listening), group: 'other' }],
    code: 'ECONNREFUSED',
  },
  { call: 'STPconnect', args: (s) => [s.fresh, stp.STPgethostname(s.bound)], code: 'ECONNREFUSED' },
  { call: 'STPconnect', args: at('fresh', { port: 9 }, NaN), code: 'EINVAL', names: /length/u },
  { call: 'STPconnect', args: at('listening', { port: 9 }), code: 'EOPNOTSUPP' },
  { call: 'STPconnect', args: at('connecting', { port: 9 }), code: 'EALREADY' },
  { call: 'STPconnect', args: at('a', { port: 9 }), code: 'EISCONN' },
  { call: 'STPconnect', args: at('reset', { port: 9 }), code: 'EINVAL' },
  { call: 'STPconnect', args: at('given', { port: 9 }), code: 'ESTPGIVEN' },

  { call: 'STPaccept', args: at('fresh', MSG_DONTWAIT), code: 'EINVAL', names: /not listening/u },
  { call: 'STPaccept', args: at('a'), code: 'EINVAL' },
  { call: 'STPaccept', args: at('listening', MSG_PEEK), code: 'EINVAL', names: /flags/u },
  { call: 'STPaccept', args: at('listening', -1), code: 'EINVAL', names: /flags/u },
  { call: 'STPaccept', args: at('listening', '64'), code: 'EINVAL', names: /flags/u },
  { call: 'STPaccept', args: at('listening', null), code: 'EINVAL', names: /flags/u },

  ...(['STPsend', 'STPrecv'] as const).flatMap((call): Case[] => [
    { call, args: at('a'), code: 'EFAULT', names: /message/u },
    { call, args: at('a', 'text'), code: 'EFAULT', names: /message/u },
    { call, args: at('a', new ArrayBuffer(8)), code: 'EFAULT', names: /message/u },
    { call, args: at('a', new Uint16Array(8)), code: 'EFAULT', names: /message/u },
    { call, args: at('a', Buffer.alloc(4), 5), code: 'EFAULT', names: /length 5.*4/u },
    { call, args: at('a', Buffer.alloc(4), -1), code: 'EINVAL', names: /length/u },
    { call, args: at('a', Buffer.alloc(4), 1.5), code: 'EINVAL', names: /length/u },
    { call, args: at('a', Buffer.alloc(4), null), code: 'EINVAL', names: /length/u },
    { call, args: at('a', Buffer.alloc(4), 4, 1 << 20), code: 'EINVAL', names: /flags.*0x100000/u },
    { call, args: at('a', Buffer.alloc(4), 4, -1), code: 'EINVAL', names: /flags/u },
    { call, args: at('a', Buffer.alloc(4), 4, 0.5), code: 'EINVAL', names: /flags/u },
    { call, args: at('a', Buffer.alloc(4), 4, '64'), code: 'EINVAL', names: /flags/u },
    { call, args: at('fresh', Buffer.alloc(4)), code: 'ENOTCONN' },
    { call, args: at('fresh', Buffer.alloc(0)), code: 'ENOTCONN' },
    { call, args: at('given', Buffer.alloc(4), 0, MSG_DONTWAIT), code: 'ESTPGIVEN' },
    { call, args: at('bound', Buffer.alloc(4), 4, MSG_DONTWAIT), code: 'ENOTCONN' },
    { call, args: at('listening', Buffer.alloc(4)), code: 'ENOTCONN' },
    { call, args: at('connecting', Buffer.alloc(4)), code: 'ENOTCONN' },
    { call, args: at('reset', Buffer.alloc(4)), code: 'ECONNRESET' },
    { call, args: at('given', Buffer.alloc(4)), code: 'ESTPGIVEN' },
  ]),
  { call: 'STPsend', args: at('a', Buffer.alloc(4), 4, MSG_PEEK), code: 'EINVAL', names: /flags/u },
  { call: 'STPrecv', args: at('a', Buffer.alloc(4), 4, stp.MSG_MORE), code: 'EINVAL', names: /flags/u },
  { call: 'STPsend', args: at('shut', Buffer.alloc(4)), code: 'EPIPE' },
  { call: 'STPsend', args: at('shut', Buffer.alloc(0)), code: 'EPIPE' },

  { call: 'STPshutdown', args: at('a'), code: 'EINVAL', names: /how/u },
  { call: 'STPshutdown', args: at('a', 3), code: 'EINVAL', names: /how.*3/u },
  { call: 'STPshutdown', args: at('a', '1'), code: 'EINVAL', names: /how/u },
  { call: 'STPshutdown', args: at('fresh', 1), code: 'ENOTCONN' },
  { call: 'STPshutdown', args: at('listening', 2), code: 'ENOTCONN' },
  { call: 'STPshutdown', args: at('connecting', 0), code: 'ENOTCONN' },
  { call: 'STPshutdown', args: at('reset', 1), code: 'ECONNRESET' },
  { call: 'STPshutdown', args: at('given', 1), code: 'ESTPGIVEN' },

  { call: 'STPgetpeername', args: at('fresh'), code: 'ENOTCONN' },
  { call: 'STPgetpeername', args: at('listening'), code: 'ENOTCONN' },
  { call: 'STPgetpeername', args: at('connecting'), code: 'ENOTCONN' },

  { call: 'STPgethostbyname', args: just('nowhere'), code: 'EHOSTUNREACH', names: /nowhere/u },
  { call: 'STPgethostbyname', args: just(''), code: 'EHOSTUNREACH' },
  { call: 'STPgethostbyname', args: just('fd00::1'), code: 'EHOSTUNREACH' },
  { call: 'STPgethostbyname', args: just(':::'), code: 'EHOSTUNREACH' },
  { call: 'STPgethostbyname', args: just(), code: 'EINVAL', names: /name/u },
  { call: 'STPgethostbyname', args: just(5), code: 'EINVAL', names: /name/u },

  ...(['STPgetsockopt', 'STPsetsockopt'] as const).flatMap((call): Case[] => [
    { call, args: at('a', 6, stp.SO_KEEPALIVE, true), code: 'ENOPROTOOPT', names: /level 6/u },
    { call, args: at('a', SOL_SOCKET, 9999, true), code: 'ENOPROTOOPT', names: /9999/u },
    { call, args: at('a', SOL_SOCKET, 'SO_TYPE', true), code: 'ENOPROTOOPT' },
    { call, args: at('a'), code: 'ENOPROTOOPT' },
  ]),
  ...[stp.SO_TYPE, stp.SO_ERROR, stp.SO_NREAD, stp.SO_NWRITE, stp.SO_ACCEPTCONN].map((name): Case => ({
    call: 'STPsetsockopt',
    args: at('a', SOL_SOCKET, name, 1),
    code: 'ENOPROTOOPT',
  })),
  ...[stp.SO_REUSEADDR, stp.SO_KEEPALIVE, stp.TCP_NODELAY].flatMap((name) =>
    [2, -1, 'true', null, undefined, {}].map((value): Case => ({
      call: 'STPsetsockopt',
      args: at('a', SOL_SOCKET, name, value),
      code: 'EINVAL',
      names: /boolean/u,
    })),
  ),
  ...[4095, (1 << 28) + 1, 5000.5, '65536', null, true].map((value): Case => ({
    call: 'STPsetsockopt',
    args: at('fresh', SOL_SOCKET, stp.SO_RCVBUF, value),
    code: 'EINVAL',
    names: /SO_RCVBUF/u,
  })),
  { call: 'STPsetsockopt', args: at('a', SOL_SOCKET, stp.SO_RCVBUF, 65_536), code: 'EISCONN' },
  ...[
    null,
    5,
    true,
    {},
    { onoff: true },
    { onoff: true, linger: -1 },
    { onoff: 'yes', linger: 1 },
    { onoff: true, linger: Infinity },
  ].map((value): Case => ({
    call: 'STPsetsockopt',
    args: at('a', SOL_SOCKET, stp.SO_LINGER, value),
    code: 'EINVAL',
    names: /SO_LINGER/u,
  })),

  { call: 'STPgetopt', args: at('a', 9999), code: 'ENOPROTOOPT' },
  { call: 'STPgetopt', args: at('a', stp.STP_UNREAD), code: 'ENOPROTOOPT' },
  { call: 'STPgetopt', args: at('a', stp.STP_SPIN), code: 'ENOPROTOOPT' },
  { call: 'STPgetopt', args: just(-1, stp.STP_STATE), code: 'ENOPROTOOPT' },
  { call: 'STPgetopt', args: just(-1), code: 'ENOPROTOOPT' },
  { call: 'STPsetopt', args: at('a', stp.STP_STATE, 1), code: 'ENOPROTOOPT' },
  { call: 'STPsetopt', args: at('a', stp.STP_COUNTS, {}), code: 'ENOPROTOOPT' },
  { call: 'STPsetopt', args: at('a', stp.STP_REF, 'no'), code: 'EINVAL', names: /STP_REF/u },
  { call: 'STPsetopt', args: at('a', stp.STP_WATCHER, 5), code: 'EINVAL', names: /STP_WATCHER/u },
  { call: 'STPsetopt', args: at('a', stp.STP_WATCHER, undefined), code: 'EINVAL', names: /STP_WATCHER/u },
  {
    call: 'STPsetopt',
    args: at('a', stp.STP_WATCHER, { readable: 1 }),
    code: 'EINVAL',
    names: /STP_WATCHER\.readable/u,
  },
  { call: 'STPsetopt', args: at('a', stp.STP_CONNECT_TIMEOUT, -1), code: 'EINVAL', names: /STP_CONNECT_TIMEOUT/u },
  { call: 'STPsetopt', args: at('a', stp.STP_CONNECT_TIMEOUT, 2 ** 31), code: 'EINVAL', names: /STP_CONNECT_TIMEOUT/u },
  { call: 'STPsetopt', args: at('a', stp.STP_GIVE_TIMEOUT, 0), code: 'EINVAL', names: /STP_GIVE_TIMEOUT/u },
  { call: 'STPsetopt', args: at('a', stp.STP_UNREAD, 'text'), code: 'EFAULT', names: /STP_UNREAD/u },
  { call: 'STPsetopt', args: at('a', stp.STP_UNREAD, Buffer.alloc(1)), code: 'EINVAL', names: /STP_UNREAD/u },
  { call: 'STPsetopt', args: at('given', stp.STP_UNREAD, Buffer.alloc(0)), code: 'ESTPGIVEN' },
  ...[-1, 1_000_001, 0.5, '9', null].map((value): Case => ({
    call: 'STPsetopt',
    args: just(-1, stp.STP_SPIN, value),
    code: 'EINVAL',
    names: /STP_SPIN/u,
  })),
  { call: 'STPsetopt', args: just(-1, stp.STP_REGION, 'x'), code: 'ENOPROTOOPT' },
  { call: 'STPsetopt', args: just(-1, stp.STP_DRIVER, 'direct'), code: 'ENOPROTOOPT' },

  { call: 'STPgivesocket', args: at('a', 5), code: 'EINVAL', names: /clientId/u },
  { call: 'STPgivesocket', args: at('a', {}), code: 'EINVAL', names: /clientId\.system/u },
  {
    call: 'STPgivesocket',
    args: at('a', { system: 'alpha', process: -1, task: 0 }),
    code: 'EINVAL',
    names: /clientId\.process/u,
  },
  {
    call: 'STPgivesocket',
    args: at('a', { system: 'alpha', process: 1, task: 'main' }),
    code: 'EINVAL',
    names: /clientId\.task/u,
  },
  {
    call: 'STPgivesocket',
    args: at('a', { system: 5, process: 1, task: 0 }),
    code: 'EINVAL',
    names: /clientId\.system/u,
  },
  { call: 'STPgivesocket', args: at('fresh', null), code: 'ENOTCONN' },
  { call: 'STPgivesocket', args: at('listening', null), code: 'ENOTCONN' },
  { call: 'STPgivesocket', args: at('reset', null), code: 'ECONNRESET' },
  { call: 'STPgivesocket', args: at('given', null), code: 'ESTPGIVEN' },
  ...[
    undefined,
    null,
    5,
    '',
    'stp1',
    'stp1.1.2.3.4.short',
    `stp1.1.99999999999999999.3.4.${'A'.repeat(43)}`,
    `stp2.1.2.3.4.${'A'.repeat(43)}`,
    {},
  ].map((token): Case => ({ call: 'STPtakesocket', args: just(token), code: 'EINVAL', names: /token/u })),
  { call: 'STPtakesocket', args: just(`stp1.4000000000.2.3.4.${'A'.repeat(43)}`), code: 'EBADF' },
  { call: 'STPtakesocket', args: just(`stp1.1.2.3.4.${'A'.repeat(43)}`), code: 'EBADF' },
];
