import os from 'node:os';
import path from 'node:path';
import t from 'tap';
import { StpError } from '../../src/errors';
import {
  checkRegionOptions,
  defaultRegionDirectory,
  defaultSystem,
  isSystemName,
  type RegionOptions,
  regionOptions,
} from '../../src/region';
import { ipv6OfSystem, normalizeIpv6 } from '../../src/region/ipv6';

void t.test('An empty environment gives the defaults', (t) => {
  const options = regionOptions({});
  t.same(options, { directory: defaultRegionDirectory(), system: defaultSystem(), group: 'STG', driver: 'auto' });
  t.ok(path.isAbsolute(options.directory));
  t.match(path.basename(options.directory), process.getuid === undefined ? /^stp-/u : `stp-${process.getuid()}`);
  t.ok(isSystemName(options.system));
  t.equal(options.system.slice(0, 3), os.hostname().toLowerCase().slice(0, 3));
  t.end();
});

void t.test('What is set is taken, and a relative directory made absolute', (t) => {
  const options = regionOptions({
    STP_REGION: 'some/where',
    STP_SYSTEM: 'Big.Host_1-a',
    STP_GROUP: 'x'.repeat(15),
    STP_DRIVER: 'direct',
    STP_REGION_MODE: '0770',
  });
  t.same(options, {
    directory: path.resolve('some/where'),
    system: 'Big.Host_1-a',
    group: 'x'.repeat(15),
    driver: 'direct',
    mode: 0o770,
  });
  t.end();
});

void t.test('A wrong value is an error that names the variable and the value', (t) => {
  const wrong: Record<string, string[]> = {
    STP_REGION: ['', 'a\0b'],
    STP_SYSTEM: ['', 'two words', 'x'.repeat(64), 'größe', 'a/b', 'a:1'],
    STP_GROUP: ['', 'x'.repeat(16), 'a b', 'ü'],
    STP_DRIVER: ['', 'Mapped', 'mmap', 'AUTO'],
    STP_REGION_MODE: ['', '0777', '777', '0750', '0600', '2770', '1770', '448', '0x1c0', '0o700', ' 0700', 'private'],
  };
  for (const [variable, values] of Object.entries(wrong)) {
    for (const value of values) {
      t.throws(
        () => regionOptions({ [variable]: value }),
        { code: 'ESTPCONFIG', message: `${variable}=${JSON.stringify(value)}` },
        `${variable}=${JSON.stringify(value)}`,
      );
    }
  }
  for (const field of ['directory', 'system', 'group', 'driver']) {
    for (const value of [undefined, null, 5, {}, []]) {
      const options = {
        directory: '/x',
        system: 'a',
        group: 'b',
        driver: 'auto',
        [field]: value,
      } as unknown as RegionOptions;
      t.throws(() => checkRegionOptions(options), StpError, `${field} ${JSON.stringify(value)}`);
    }
  }
  t.end();
});

void t.test('The address of a system is stable, in fd00::/8, the same in any case, and normal in its spelling', (t) => {
  const address = ipv6OfSystem('Alpha');
  t.equal(address, ipv6OfSystem('aLPHA'));
  t.not(address, ipv6OfSystem('alpha2'));
  t.equal(address, 'fd8e:d3f6:ad68:5b95:9ead:7022:518e:1af7', 'the first 120 bits of SHA-256 of "alpha" behind fd');
  t.equal(normalizeIpv6(address), address);
  t.end();
});

void t.test('Every spelling of an address comes to the one that Node prints', (t) => {
  const spellings: Record<string, string> = {
    'FD00:0:0:1:0:0:0:5': 'fd00:0:0:1::5',
    'fd00:0000:0000:0001:0000:0000:0000:0005': 'fd00:0:0:1::5',
    'fd00::': 'fd00::',
    'fd00:0:0:2:3:0:0:0': 'fd00:0:0:2:3::',
    'fd01::1:0:0:2': 'fd01::1:0:0:2',
    'fd12:3:4:5:6:7:8:9': 'fd12:3:4:5:6:7:8:9',
    'fd12:0:4:5:6:7:8:9': 'fd12:0:4:5:6:7:8:9',
  };
  for (const [spelling, normal] of Object.entries(spellings)) {
    t.equal(normalizeIpv6(spelling), normal, spelling);
    t.equal(new URL(`http://[${spelling}]/`).hostname, `[${normal}]`, 'as the URL parser spells it');
  }
  for (const other of [
    '',
    '::1',
    'fe80::1',
    'fc00::1',
    '127.0.0.1',
    'fd00',
    'fd00:::1',
    'fd00::1::2',
    'fd00:1:2:3:4:5:6:7:8',
    'fd00::12345',
    'fd00::%lo',
    'fd00::1 ',
  ]) {
    t.equal(normalizeIpv6(other), undefined, `${other} stands for no system`);
  }
  t.end();
});
