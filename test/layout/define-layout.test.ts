import t from 'tap';
import { StpError } from '../../src/errors';
import { allLayouts } from '../../scripts/layout-snapshot';
import {
  checkLayout,
  defineLayout,
  RecordHeader,
  RECORD_LENGTH_MASK,
  RECORD_TYPE_SHIFT,
  SOCKETS_MAX,
} from '../../src/layout';

void t.test('A field of three bytes takes what fits in it and leaves its neighbours alone', (t) => {
  const layout = defineLayout(
    'Sample',
    8,
    {
      length: { at: 0, kind: 'u24', writer: 'owner', doc: 'three bytes' },
      type: { at: 3, kind: 'u8', writer: 'owner', doc: 'the fourth' },
      rest: { at: 4, kind: 'u24', writer: 'owner', doc: 'three more' },
    },
    { doc: 'sample' },
  );
  const bytes = new Uint8Array(8);
  for (const length of [0, 1, 0xff, 0x100, 0xffff, 0x1_0000, 0xff_ffff]) {
    layout.encode({ length, type: 0xa5, rest: 0xff_ffff - length }, bytes);
    t.same(layout.decode(bytes), { length, type: 0xa5, rest: 0xff_ffff - length });
    t.equal(bytes[7], 0);
  }
  for (const length of [-1, 1.5, 0x100_0000]) {
    t.throws(
      () => {
        layout.encode({ length, type: 0, rest: 0 }, bytes);
      },
      StpError,
      String(length),
    );
  }
  const odd = defineLayout('Odd', 8, { length: { at: 1, kind: 'u24', writer: 'owner', doc: 'odd' } }, { doc: 'odd' });
  t.throws(() => odd.decode(bytes), /layout Odd: length is not aligned/u, 'a mistake in it is told when it is used');
  t.end();
});

void t.test('Every layout of a region is free of mistakes', (t) => {
  for (const layout of allLayouts())
    t.doesNotThrow(() => {
      checkLayout(layout);
    }, layout.name);
  t.end();
});

void t.test('The first word of a record header holds length and type as the link reads them', (t) => {
  const bytes = new Uint8Array(RecordHeader.sizeBytes);
  RecordHeader.encode(
    { lengthBytes: 65_536, type: 25, source: SOCKETS_MAX - 1, socket: SOCKETS_MAX - 2, generation: 7 },
    bytes,
  );
  const words = new Int32Array(bytes.buffer);
  t.equal((words[0] ?? 0) & RECORD_LENGTH_MASK, 65_536);
  t.equal((words[0] ?? 0) >>> RECORD_TYPE_SHIFT, 25);
  t.same([...words.subarray(1)], [SOCKETS_MAX - 1, SOCKETS_MAX - 2, 7]);
  t.end();
});

void t.test('A text keeps every character that fits, in ASCII or not, and ends at its first zero', (t) => {
  const layout = defineLayout(
    'Sample',
    12,
    { text: { at: 4, kind: 'text', size: 8, writer: 'owner', doc: 'text' } },
    { doc: 'sample' },
  );
  for (const text of ['', 'a', 'STG', '12345678', 'Zürich', 'a\u{1f600}b', 'Zürich', '\u007f\u0080', 'é'.repeat(4)]) {
    const bytes = new Uint8Array(16).fill(0xff);
    layout.encode({ text }, bytes, 4);
    t.equal(layout.decode(bytes, 4).text, text);
    t.same([...bytes.subarray(0, 4)], [0xff, 0xff, 0xff, 0xff], 'nothing before it is touched');
  }
  t.throws(() => {
    layout.encode({ text: 'é'.repeat(5) }, new Uint8Array(12));
  }, /Sample\.text takes at most 8 bytes/u);
  const damaged = Uint8Array.of(0, 0, 0, 0, 0x61, 0xff, 0x62, 0, 0x63, 0, 0, 0);
  t.equal(layout.decode(damaged).text, 'a\ufffdb', 'bytes that are no text do no harm');
  t.end();
});
