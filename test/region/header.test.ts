/** What is wrong with the header of a region is told, and the region is not opened. */
import fs from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { BLOCK_PAYLOAD_BYTES, FORMAT_VERSION, RegionHeader } from '../../src/layout';
import { Region } from '../../src/region';
import { FileStorage } from '../../src/storage';
import { codeOf, openRegion, optionsFor } from './kit';

void t.test('A damaged header is a clear error that names the file', (t) => {
  const options = optionsFor(t);
  Region.open(options).close();
  const header = path.join(options.directory, 'region');
  const good = fs.readFileSync(header);
  const random = Buffer.from(Array.from({ length: good.length }, (_, i) => (i * 7919 + 13) % 251));
  const flipped = Buffer.from(good);
  flipped[60] = (flipped[60] ?? 0) ^ 1;
  for (const [name, bytes] of Object.entries({
    'an empty file': Buffer.alloc(0),
    zeros: Buffer.alloc(4096),
    'cut short': good.subarray(0, 100),
    'random bytes': random,
    'a bit flipped': flipped,
    text: Buffer.from('#!/bin/sh\n'),
  })) {
    fs.writeFileSync(header, bytes);
    t.throws(() => Region.open(options), { code: /^ESTP(?:REGION|CORRUPT)$/u, message: /region/u }, name);
    t.same(fs.readFileSync(header), bytes, 'and the file is left as it is');
  }
  fs.writeFileSync(header, good);
  openRegion(t, options);
  t.end();
});

void t.test('A header with good checksums and wrong values is refused field by field', (t) => {
  const values = {
    magic: 'STPREGN1',
    version: FORMAT_VERSION,
    socketsMax: 100,
    id: 5,
    createdAtMs: 6,
    ringBytes: 65_536,
    framesBytes: 65_536,
    leaseMs: 5000,
  };
  const cases: [Partial<typeof values>, string][] = [
    [{ magic: 'STPREGN2' }, 'ESTPREGION'],
    [{ magic: '' }, 'ESTPREGION'],
    [{ version: FORMAT_VERSION + 1 }, 'ESTPVERSION'],
    [{ version: 0 }, 'ESTPVERSION'],
    [{ socketsMax: 0 }, 'ESTPCORRUPT'],
    [{ socketsMax: 0xffff_ffff }, 'ESTPCORRUPT'],
    [{ ringBytes: 65_537 }, 'ESTPCORRUPT'],
    [{ framesBytes: 5 }, 'ESTPCORRUPT'],
    [{ leaseMs: 0 }, 'ESTPCORRUPT'],
    [{}, 'none'],
  ];
  for (const [change, code] of cases) {
    const options = optionsFor(t);
    fs.mkdirSync(options.directory, { mode: 0o700 });
    const payload = new Uint8Array(RegionHeader.sizeBytes);
    RegionHeader.encode({ ...values, ...change }, payload);
    new FileStorage(options.directory, { driver: 'direct' }).publishOnce('region', payload);
    t.equal(
      codeOf(() => openRegion(t, options)),
      code,
      JSON.stringify(change),
    );
  }
  const later = optionsFor(t);
  fs.mkdirSync(later.directory, { mode: 0o700 });
  const payload = new Uint8Array(BLOCK_PAYLOAD_BYTES);
  RegionHeader.encode({ ...values, version: FORMAT_VERSION + 1 }, payload);
  new FileStorage(later.directory, { driver: 'direct' }).publishOnce('region', payload);
  t.throws(
    () => Region.open(later),
    { code: 'ESTPVERSION', message: new RegExp(`version ${FORMAT_VERSION + 1}.*reads ${FORMAT_VERSION}`, 'u') },
    'a longer header of a later version',
  );
  t.end();
});
