/** When a process spins for an answer and when it sleeps, on a machine whose yields and wakes take what we say. */
import t from 'tap';
import { Spin } from '../../src/link/spin';

const ANSWER_US = 20;
const WAKE_US = 60;
const SHORT_YIELD_US = 2;
/** A time slice of a process that computes. */
const SLICE_US = 5000;

class Machine {
  spins = 0;
  sleeps = 0;
  nowUs = 1000;
  readonly #spin: Spin;
  #dueUs = 0;

  constructor(nextYieldUs: () => number) {
    const yieldProcessor = (): void => {
      this.nowUs += nextYieldUs();
    };
    this.#spin = new Spin(yieldProcessor, () => this.nowUs / 1000);
  }

  readonly #isReady = (): boolean => this.nowUs >= this.#dueUs;

  /** Sends something, and waits for its answer as the poller does. */
  trip(): void {
    const spin = this.#spin;
    this.#dueUs = this.nowUs + ANSWER_US;
    spin.begin();
    if (spin.isWorth()) {
      do spin.countIdle();
      while (spin.wait(this.#isReady, null) && !this.#isReady());
      if (this.#isReady()) {
        this.spins += 1;
        spin.found();
        return;
      }
      spin.end();
    } else spin.expect();
    this.sleeps += 1;
    this.nowUs += WAKE_US;
    spin.rung();
  }

  /** Trips in one second. */
  tripsOfSecond(): number {
    const endUs = this.nowUs + 1_000_000;
    let trips = 0;
    for (; this.nowUs < endUs; trips++) this.trip();
    return trips;
  }
}

void t.test('a process alone with its peer catches the answers in spins', (tt) => {
  const machine = new Machine(() => SHORT_YIELD_US);
  for (let i = 0; i < 1000; i++) machine.trip();
  tt.equal(machine.sleeps, 0);
  tt.end();
});

void t.test('beside processes that compute it makes nearly as many trips as without any spin', (tt) => {
  const machine = new Machine(() => SLICE_US);
  machine.tripsOfSecond();
  const trips = machine.tripsOfSecond();
  tt.ok(trips > (0.9 * 1_000_000) / WAKE_US, `${trips} trips in a second`);
  tt.end();
});

void t.test('when they are gone it spins again within a fifth of a second', (tt) => {
  let yieldUs = SLICE_US;
  const machine = new Machine(() => yieldUs);
  machine.tripsOfSecond();
  yieldUs = SHORT_YIELD_US;
  const endUs = machine.nowUs + 210_000;
  while (machine.nowUs < endUs) machine.trip();
  machine.sleeps = 0;
  for (let i = 0; i < 1000; i++) machine.trip();
  tt.equal(machine.sleeps, 0);
  tt.end();
});

void t.test('yields that compilers make long now and then leave most of the spins in', (tt) => {
  let yields = 0;
  const machine = new Machine(() => (++yields % 400 === 0 ? 2 * SLICE_US : SHORT_YIELD_US));
  for (let i = 0; i < 5000; i++) machine.trip();
  tt.ok(machine.sleeps < 0.25 * machine.spins, `${machine.sleeps} sleeps, ${machine.spins} spins`);
  tt.end();
});

void t.test('without a way to yield it sleeps after a few turns', (tt) => {
  const spin = new Spin(undefined);
  spin.begin();
  let turns = 0;
  do {
    turns += 1;
    spin.countIdle();
  } while (spin.wait(() => false, null));
  tt.ok(turns < 10, `${turns} turns`);
  tt.end();
});
