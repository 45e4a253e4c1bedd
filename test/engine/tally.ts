/** How often things happened in a number of schedules: a simulation in which they no longer happen tests nothing. */
const NAMES = [
  'accepted',
  'connected',
  'refused',
  'timedOut',
  'bytes',
  'cameShort',
  'sentLater',
  'roomMade',
  'resets',
  'delivered',
  'closeFailed',
  'given',
  'took',
  'takeFailed',
  'rolledBack',
  'deaths',
  'diedAtFile',
  'diedAtPublish',
  'diedAtRead',
  'diedAtHandOver',
  'diedAtRecord',
  'thrown',
  'connectedShared',
  'askedMore',
  'connectedEarly',
  'endedByDeath',
] as const;

export type Tally = Record<(typeof NAMES)[number], number>;

export function newTally(): Tally {
  return Object.fromEntries(NAMES.map((name) => [name, 0])) as Tally;
}
