/** One text and one form in bytes for each IP address, and the rules by which ports of addresses meet. */
import net from 'node:net';
import t from 'tap';
import {
  calledIp,
  closeness,
  closenessOfBytes,
  IP_BYTES,
  ipBytes,
  ipFamily,
  ipText,
  normalizeIp,
  reachesMeet,
  reachOf,
  sourceIp,
} from '../../src/layout';

/** As Node spells it. */
function spelled(ip: string): string {
  return new net.SocketAddress({ address: ip, family: net.isIPv6(ip) ? 'ipv6' : 'ipv4' }).address;
}

/** A spelling of eight random groups, many of them zero. */
function randomIpv6(): string {
  return Array.from({ length: 8 }, () =>
    (Math.random() < 0.6 ? 0 : Math.floor(Math.random() * 0x1_0000))
      .toString(16)
      .padStart(Math.random() < 0.5 ? 4 : 1, '0'),
  ).join(':');
}

void t.test('every spelling of an address comes to the one that Node prints, and back from its bytes', (t) => {
  const known = [
    '0.0.0.0',
    '127.0.0.1',
    '255.255.255.255',
    '::',
    '::1',
    '::5',
    '::1.2.3.4',
    'FE80::1',
    '64:ff9b::1.2.3.4',
    '2:3:4:5:6:7:8::',
    '::2:3:4:5:6:7:8',
  ];
  for (const ip of [...known, ...Array.from({ length: 500 }, randomIpv6)]) {
    const text = normalizeIp(ip);
    if (text !== spelled(ip) || ipText(ipBytes(ip).family, ipBytes(ip).bytes) !== text)
      t.fail(`${ip} comes to ${String(text)}`);
  }
  t.equal(normalizeIp('::ffff:127.0.0.1'), '127.0.0.1');
  t.equal(normalizeIp('::FFFF:7f00:1'), '127.0.0.1', 'IPv4 in IPv6 clothes is IPv4');
  t.equal(normalizeIp('fe80::1%eth0'), 'fe80::1');
  t.same([ipFamily(''), ipFamily('1.2.3.4'), ipFamily('::1')], [0, 4, 6]);
  t.equal(ipText(0, new Uint8Array(IP_BYTES)), '');
  t.end();
});

void t.test('what is no address is none, as Node says', (t) => {
  const others = [
    'x',
    '127.0.0',
    '127.0.0.01',
    '256.0.0.1',
    '1.2.3.4.',
    '1.2.3.4.5',
    '127.0.0.1 ',
    ':',
    ':::',
    '1::2::3',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '::12345',
    '::1.2.3',
    '1.2.3.4::',
    '::%',
    'fe80::1%',
    '::1:1.2.3.4:5',
    'g::',
  ];
  for (const other of others) {
    t.equal(net.isIP(other), 0, other);
    t.equal(normalizeIp(other), undefined, other);
  }
  t.throws(() => ipBytes('x'), { code: 'EINVAL' });
  t.end();
});

void t.test('bytes that stand for no address are told from those that do', (t) => {
  const one = (at: number): Uint8Array => Uint8Array.from({ length: IP_BYTES }, (_, i) => (i === at ? 1 : 0));
  for (const family of [1, 3, 5, 7, 255])
    t.equal(ipText(family, new Uint8Array(IP_BYTES)), undefined, `family ${family}`);
  for (let at = 0; at < IP_BYTES; at += 1) t.equal(ipText(0, one(at)), undefined, 'no address has no bytes');
  for (let at = 4; at < IP_BYTES; at += 1) t.equal(ipText(4, one(at)), undefined, 'IPv4 has four');
  t.equal(
    ipText(6, Uint8Array.from([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 127, 0, 0, 1])),
    undefined,
    'IPv4 in IPv6 clothes has another form',
  );
  t.end();
});

void t.test('which bindings meet and which of them is called is the same in text and in bytes', (t) => {
  const reaches = ['', '0.0.0.0', '::', '127.0.0.1', '127.0.0.2', '::1', 'fd00::2'];
  const called = ['', '127.0.0.1', '127.0.0.2', '::1', 'fd00::2', '10.0.0.1'];
  for (const reach of reaches) {
    const { family, bytes } = ipBytes(reach);
    for (const ip of called)
      t.equal(closenessOfBytes(family, bytes, 0, ipBytes(ip)), closeness(reach, ip), `"${reach}", called "${ip}"`);
    for (const other of reaches) {
      const common = called.some((ip) => ip !== '' && closeness(reach, ip) > 0 && closeness(other, ip) > 0);
      t.equal(reachesMeet(reach, other), common, `"${reach}" and "${other}"`);
    }
  }
  t.same(
    [
      reachOf('', false),
      reachOf('::', false),
      reachOf('::', true),
      reachOf('', true),
      reachOf('0.0.0.0', true),
      reachOf('::1', true),
    ],
    ['', '', '::', '::', '0.0.0.0', '::1'],
  );
  t.same(['0.0.0.0', '::', '127.0.0.2', '::1', ''].map(calledIp), ['127.0.0.1', '::1', '127.0.0.2', '::1', '']);
  t.same(['127.0.0.2', '::1', '192.0.2.2', ''].map(sourceIp), ['127.0.0.1', '::1', '192.0.2.2', '']);
  t.end();
});
