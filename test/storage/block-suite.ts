/** Blocks and paths: what every storage must do with them, whatever it is made of. */
import { BLOCK_BYTES, BLOCK_PAYLOAD_BYTES } from '../../src/layout';
import { sealBlock } from '../../src/storage/block-file';
import { type Kit } from './kits';
import { codeOf, pattern, site, type Test } from './suite-kit';

export function blockSuite(test: Test, kit: Kit): void {
  void test.test('blocks come back as written, and count how often they were', (tt) => {
    const here = site(tt, kit);
    const writer = here.a.createBlocks('blocks');
    if (writer === undefined) throw new Error('not created');
    for (let round = 1; round <= 3; round++) {
      for (const [index, length] of [
        [0, 0],
        [1, 1],
        [5, 1000],
        [2, BLOCK_PAYLOAD_BYTES],
      ] as const) {
        writer.write(index, pattern(length, round * 10 + index));
      }
    }
    here.settle();
    const reader = here.b.openBlocks('blocks');
    if (reader === undefined) throw new Error('not opened');
    for (const [index, length] of [
      [0, 0],
      [1, 1],
      [5, 1000],
      [2, BLOCK_PAYLOAD_BYTES],
    ] as const) {
      const block = reader.read(index);
      tt.equal(block?.sequence, 3);
      tt.same(Buffer.from(block?.payload ?? []), Buffer.from(pattern(length, 30 + index)));
    }
    tt.equal(reader.read(3), undefined, 'a hole');
    tt.equal(reader.read(6), undefined, 'past the end');
    tt.equal(reader.sizeBytes, 6 * BLOCK_BYTES);
    tt.equal(
      codeOf(() => {
        writer.write(-1, pattern(1, 1));
      }),
      'EINVAL',
    );
    tt.equal(
      codeOf(() => {
        writer.write(0.5, pattern(1, 1));
      }),
      'EINVAL',
    );
    tt.equal(
      codeOf(() => {
        writer.write(0, pattern(BLOCK_PAYLOAD_BYTES + 1, 1));
      }),
      'EINVAL',
    );
    tt.equal(
      codeOf(() => reader.read(NaN)),
      'EINVAL',
    );
    writer.close();
    reader.close();
    tt.end();
  });

  void test.test('a block read while it is written is whole, old or new, and never goes back', (tt) => {
    const here = site(tt, kit, { seed: 7 });
    const writer = here.a.createBlocks('blocks');
    writer?.write(0, pattern(4000, 0));
    here.settle();
    const reader = here.b.openBlocks('blocks');
    let last = 1;
    for (let round = 2; round < 200; round++) {
      writer?.write(0, pattern(4000, round - 1));
      here.tick();
      const block = reader?.read(0);
      if (block === undefined || block.sequence < last) throw new Error(`block ${block?.sequence ?? 0} after ${last}`);
      last = block.sequence;
      if (Buffer.compare(block.payload, pattern(4000, last - 1)) !== 0) throw new Error(`block ${last} is mixed`);
    }
    here.settle();
    tt.equal(reader?.read(0)?.sequence, 199);
    tt.end();
  });

  void test.test('a damaged, misplaced or half block is ESTPCORRUPT, and others are still read', (tt) => {
    const here = site(tt, kit);
    const writer = here.a.createBlocks('blocks');
    for (let index = 0; index < 4; index++) writer?.write(index, pattern(100, index));
    here.overwrite('blocks', BLOCK_BYTES + 60, Uint8Array.of(1, 2, 3, 4, 5));
    here.overwrite('blocks', 2 * BLOCK_BYTES + 16, Uint8Array.of(255, 255, 255, 255));
    const stray = Buffer.alloc(BLOCK_BYTES);
    sealBlock(stray, 3, 5, pattern(100, 9));
    writer?.write(4, pattern(100, 4));
    here.overwrite('blocks', 4 * BLOCK_BYTES, stray);
    const reader = here.b.openBlocks('blocks');
    tt.equal(
      codeOf(() => reader?.read(4)),
      'ESTPCORRUPT',
      'a block of another place',
    );
    tt.equal(
      codeOf(() => reader?.read(1)),
      'ESTPCORRUPT',
      'payload',
    );
    tt.equal(
      codeOf(() => reader?.read(2)),
      'ESTPCORRUPT',
      'length',
    );
    tt.equal(reader?.read(3)?.payload.length, 100);
    here.truncate('blocks', 3 * BLOCK_BYTES + 200);
    tt.equal(
      codeOf(() => reader?.read(3)),
      'ESTPCORRUPT',
      'half a block',
    );
    tt.equal(reader?.read(0)?.payload.length, 100);
    tt.end();
  });

  void test.test('a path is created once, published once, listed and removed', (tt) => {
    const here = site(tt, kit);
    here.a.makeDirectory('sub');
    here.b.makeDirectory('sub');
    tt.ok(here.a.createBlocks('sub/one'));
    tt.equal(here.b.createBlocks('sub/one'), undefined);
    tt.equal(here.a.publishOnce('sub/two', pattern(50, 1)), true);
    tt.equal(here.b.publishOnce('sub/two', pattern(50, 2)), false);
    here.settle();
    tt.same(Buffer.from(here.b.openBlocks('sub/two')?.read(0)?.payload ?? []), Buffer.from(pattern(50, 1)));
    tt.same(here.b.list('sub').sort(), ['one', 'two']);
    tt.same(here.b.list(''), ['sub']);
    tt.same(here.b.list('none'), []);
    tt.equal(here.b.info('sub/two')?.sizeBytes, BLOCK_BYTES);
    tt.equal(here.b.info('sub/none'), undefined);
    tt.equal(here.b.openBlocks('sub/none'), undefined);
    tt.equal(here.b.openLog('sub/none'), undefined);
    tt.equal(here.b.remove('sub/two'), true);
    tt.equal(here.b.remove('sub/two'), false);
    tt.equal(
      codeOf(() => {
        here.a.makeDirectory('sub/one');
      }),
      'ESTPCORRUPT',
    );
    tt.end();
  });
}
