/** The models, the sizes they are checked at, and the mistakes that spin must find in each. */

/** `safety`: assertions and deadlocks. `progress`: also that nothing goes on for ever without getting further. */
export type Check = 'safety' | 'progress';

interface Mistake {
  /** The macro that puts it into the model. */
  readonly name: string;
  readonly check: Check;
  readonly definitions: readonly string[];
  /** How spin's message begins. */
  readonly shows: string;
}

export interface Model {
  readonly file: string;
  readonly checks: readonly { readonly check: Check; readonly definitions: readonly string[] }[];
  readonly mistakes: readonly Mistake[];
}

const STUCK = 'invalid end state';
const WRONG = 'assertion violated';
const ENDLESS = 'non-progress cycle';

function mistake(name: string, shows: string, size: number): Mistake {
  return { name, shows, check: shows === ENDLESS ? 'progress' : 'safety', definitions: [`RECORDS=${size}`] };
}

function wrong(name: string, ...definitions: string[]): Mistake {
  return { name, shows: WRONG, check: 'safety', definitions };
}

export const MODELS: readonly Model[] = [
  {
    file: 'log.pml',
    checks: [
      { check: 'safety', definitions: ['RECORDS=4'] },
      { check: 'progress', definitions: ['RECORDS=3'] },
    ],
    mistakes: [
      mistake('NO_LOOK_AFTER_ASLEEP', STUCK, 3),
      mistake('LOOK_BEFORE_ASLEEP', STUCK, 3),
      mistake('RING_BEFORE_PUBLISH', STUCK, 3),
      mistake('NO_FLUSH', STUCK, 3),
      mistake('NO_WAKE_WHEN_FULL', STUCK, 3),
      mistake('NO_WANTS_ROOM', STUCK, 3),
      mistake('NO_ROOM_CHECK_AFTER_ASLEEP', STUCK, 3),
      mistake('NO_RING_FOR_ROOM', STUCK, 3),
      mistake('RING_ONCE_FOR_ALL', STUCK, 3),
      mistake('KEEP_WORD', STUCK, 3),
      mistake('NO_WRAP', STUCK, 3),
      mistake('HEAD_BEFORE_RECORD', WRONG, 3),
      mistake('ACKNOWLEDGE_BEFORE_USE', WRONG, 3),
      mistake('NO_FREE_CHECK', WRONG, 3),
      mistake('NO_LAP_END', WRONG, 3),
      mistake('ROOM_TOO_SMALL', ENDLESS, 4),
    ],
  },
  {
    file: 'frames.pml',
    checks: [
      { check: 'safety', definitions: ['RECORDS=8'] },
      { check: 'safety', definitions: ['RECORDS=8', 'FRAME_MAX=3'] },
    ],
    mistakes: [
      mistake('NO_SEQUENCE', WRONG, 8),
      mistake('NO_CRC', WRONG, 8),
      mistake('NO_FREE_CHECK', WRONG, 8),
      mistake('SKIP_NOT_COUNTED', WRONG, 8),
      mistake('TELL_AHEAD', WRONG, 8),
      mistake('TELL_RARELY', STUCK, 8),
      mistake('OWN_LAP_RULE', STUCK, 8),
    ],
  },
  {
    file: 'connect.pml',
    checks: [
      { check: 'safety', definitions: ['DEATHS=2'] },
      { check: 'safety', definitions: ['DEATHS=1', 'PATIENT'] },
    ],
    mistakes: [
      wrong('NO_GONE', 'DEATHS=1'),
      wrong('NO_GENERATION', 'DEATHS=1'),
      wrong('QUEUE_KEEPS_DEAD', 'DEATHS=1'),
      wrong('NO_BACKLOG', 'DEATHS=1'),
      wrong('NO_RETRY', 'DEATHS=0', 'PATIENT'),
      wrong('NO_REFUSE', 'DEATHS=0', 'PATIENT'),
      wrong('NO_REFUSE_AT_END', 'DEATHS=0', 'PATIENT'),
    ],
  },
  {
    file: 'queued.pml',
    checks: [{ check: 'safety', definitions: ['DEATHS=1'] }],
    mistakes: [
      wrong('NO_COUNT', 'DEATHS=0'),
      wrong('FREE_AT_CLOSE', 'DEATHS=0'),
      wrong('FULL_FOR_ALL', 'DEATHS=0'),
      wrong('CANCEL_AT_CLOSE', 'DEATHS=0'),
      wrong('DROP_DEAD', 'DEATHS=1'),
    ],
  },
  {
    file: 'hand-over.pml',
    checks: [
      { check: 'safety', definitions: ['BYTES=1', 'DEATHS=2'] },
      { check: 'safety', definitions: ['BYTES=1', 'DEATHS=0', 'BOTH'] },
      { check: 'safety', definitions: ['BYTES=0', 'DEATHS=1', 'BOTH'] },
      { check: 'safety', definitions: ['BYTES=1', 'DEATHS=1', 'CLOSES=O'] },
    ],
    mistakes: [
      wrong('TAKEN_BEFORE_MOVE', 'BYTES=0', 'DEATHS=1'),
      wrong('RESET_FOR_CLAIM', 'BYTES=0', 'DEATHS=1'),
      wrong('NO_CLAIM', 'BYTES=0', 'DEATHS=1'),
      wrong('NO_THAW', 'BYTES=0', 'DEATHS=1'),
      wrong('ESTABLISH_ALONE', 'BYTES=1', 'DEATHS=1'),
      wrong('NO_FREEZE', 'BYTES=1', 'DEATHS=0'),
      wrong('NO_UNSENT', 'BYTES=1', 'DEATHS=0'),
      wrong('NO_CREDIT_AFTER_TAKE', 'BYTES=2', 'DEATHS=0'),
      wrong('BOTH_GO_FIRST', 'BYTES=0', 'DEATHS=0', 'BOTH'),
    ],
  },
];
