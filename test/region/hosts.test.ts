import net from 'node:net';
import t from 'tap';
import { codeOf, openRegion, optionsFor, RegionChild } from './kit';

void t.test('Systems are known by name, in any case, with their groups and addresses', (t) => {
  const options = optionsFor(t);
  const here = openRegion(t, options);
  const there = openRegion(t, { ...options, system: 'There', group: 'A' });
  there.bindings.bind(80, 'Z', 1);
  openRegion(t, { ...options, system: 'THERE', group: 'B' });
  const host = here.hosts.hostByName('tHeRe');
  t.match(host, { name: 'There', groups: ['A', 'B', 'Z'], local: false });
  t.match(there.hosts.hostByName('there'), { name: 'There', local: true, ipv6: host.ipv6 });
  t.match(here.hosts.hostByName('HERE'), { name: 'here', groups: ['STG'], local: true });
  t.same(
    here.hosts.list().map(({ name }) => name),
    ['here', 'There'],
  );
  for (const name of ['nowhere', '', 'localhost', 'there.'])
    t.equal(
      codeOf(() => here.hosts.hostByName(name)),
      'EHOSTUNREACH',
      name,
    );
  t.equal(
    codeOf(() => here.hosts.hostByName(5 as unknown as string)),
    'EINVAL',
  );
  t.end();
});

void t.test('An address stands for a system, both ways and in every process', (t) => {
  const options = optionsFor(t);
  const here = openRegion(t, options);
  const there = openRegion(t, { ...options, system: 'There' });
  const { ipv6 } = here.hosts.hostByName('there');
  t.ok(net.isIPv6(ipv6) && ipv6.startsWith('fd'));
  t.equal(new URL(`http://[${ipv6}]/`).hostname, `[${ipv6}]`, 'spelled as Node spells it');
  t.equal(here.hosts.systemOfIpv6(ipv6), 'There');
  t.equal(here.hosts.systemOfIpv6(ipv6.toUpperCase()), 'There');
  t.equal(there.hosts.systemOfIpv6(ipv6), 'There');
  t.equal(there.hosts.systemOfIpv6(here.hosts.ipv6Of('HERE')), 'here');
  t.equal(here.hosts.systemOfIpv6(here.hosts.ipv6Of('nobody')), undefined);
  t.equal(here.hosts.systemOfIpv6('::1'), undefined);
  t.end();
});

void t.test('The system of a server that has just died is still known, until somebody reclaims it', async (t) => {
  const options = optionsFor(t);
  const here = openRegion(t, options);
  const child = await RegionChild.one(t);
  await child.call('open', { ...options, system: 'there' });
  await child.kill();
  t.match(here.hosts.hostByName('there'), { name: 'there' });
  openRegion(t, options);
  t.equal(
    codeOf(() => here.hosts.hostByName('there')),
    'EHOSTUNREACH',
  );
});
