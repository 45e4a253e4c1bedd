import t from 'tap';
import { type Timer, Timers } from '../../src/engine/timers';
import { Random } from './random';

void t.test(
  'timers run when they are due, in the order of their times and then of their setting, ' +
    'but for those that were cleared',
  (tt) => {
    const random = new Random(Number(process.env['STP_SEED'] ?? 1));
    for (let round = 0; round < 50; round++) {
      const timers = new Timers();
      const ran: number[] = [];
      let open: { timer: Timer; id: number }[] = [];
      let wrong = 0;
      for (let id = 0; id < 200; id++) {
        if (random.chance(0.7))
          open.push({
            timer: timers.set(random.below(40), () => {
              ran.push(id);
            }),
            id,
          });
        else if (open.length > 0) timers.clear(open.splice(random.below(open.length), 1)[0]?.timer ?? null);
        if (timers.nextMs !== Math.min(...open.map(({ timer }) => timer.atMs))) wrong++;
      }
      const expected = [...open].sort((a, b) => a.timer.atMs - b.timer.atMs || a.id - b.id);
      for (let nowMs = 0; nowMs < 40; nowMs += random.between(1, 6)) {
        timers.advance(nowMs);
        open = open.filter(({ timer }) => timer.atMs > nowMs);
        if (ran.length !== expected.filter(({ timer }) => timer.atMs <= nowMs).length) wrong++;
      }
      timers.advance(40);
      if (wrong > 0 || timers.nextMs !== Infinity || ran.join() !== expected.map(({ id }) => id).join())
        tt.fail(`round ${round}: ${wrong} times wrong, ran ${ran.join()}`);
    }
    tt.end();
  },
);

void t.test('a timer may clear others that are due with it, and set one that waits for the next time', (tt) => {
  const timers = new Timers();
  const ran: string[] = [];
  timers.set(1, () => {
    ran.push('first');
    timers.clear(second);
    timers.set(0, () => {
      ran.push('late');
    });
  });
  const second = timers.set(2, () => {
    ran.push('second');
  });
  timers.advance(5);
  tt.same(ran, ['first']);
  timers.clear(second);
  tt.equal(timers.nextMs, 0);
  timers.advance(5);
  tt.same(ran, ['first', 'late']);
  tt.equal(timers.nextMs, Infinity);
  tt.end();
});
