import t from 'tap';
import { FreeIndices } from '../../src/engine/free-indices';

void t.test('What was added first is taken first, and an empty line has nothing', (t) => {
  const free = new FreeIndices();
  t.equal(free.take(), undefined);
  for (const index of [7, 3, 5]) free.add(index);
  t.equal(free.size, 3);
  t.same([free.take(), free.take(), free.take(), free.take()], [7, 3, 5, undefined]);
  t.equal(free.size, 0);
  t.end();
});

void t.test('The order holds over a hundred thousand indices that come and go', (t) => {
  const free = new FreeIndices();
  let added = 0;
  let taken = 0;
  for (let round = 0; round < 100; round += 1) {
    for (let i = 0; i < 1000; i += 1) free.add(added++);
    for (let i = 0; i < 900; i += 1) if (free.take() !== taken++) t.fail(`index ${taken - 1} is out of its turn`);
  }
  t.equal(free.size, added - taken);
  while (free.size > 0) if (free.take() !== taken++) t.fail(`index ${taken - 1} is out of its turn`);
  t.equal(taken, added);
  t.equal(free.take(), undefined);
  t.end();
});
