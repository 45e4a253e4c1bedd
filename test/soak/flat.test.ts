import t from 'tap';
import { decodeOpening, encodeOpening } from './messages';
import { median, trendOf } from './flat';

void t.test('what stays as it is is flat, what grows grows, and a few samples tell nothing', (t) => {
  t.equal(median([5, 1, 9]), 5);
  t.equal(
    trendOf(
      'x',
      Array.from({ length: 40 }, (_, i) => 1000 + (i % 7)),
      10,
    ).flat,
    true,
  );
  t.equal(
    trendOf(
      'x',
      Array.from({ length: 40 }, (_, i) => 1000 + 20 * i),
      10,
    ).flat,
    false,
  );
  t.equal(
    trendOf(
      'x',
      Array.from({ length: 40 }, (_, i) => 1000 + 20 * i),
      1000,
    ).flat,
    true,
    'within the slack',
  );
  t.equal(trendOf('x', [1, 100, 10_000], 10).flat, true);
  t.end();
});

void t.test('an opening says the same at the other end, and anything else is refused', (t) => {
  const opening = { slot: 3, life: 70_000, stream: 12, bytes: 1_000_000, moves: true };
  t.same(decodeOpening(encodeOpening(opening)), opening);
  t.throws(() => decodeOpening(Buffer.alloc(24)), /wrong opening/);
  t.end();
});
