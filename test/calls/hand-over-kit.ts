/** What the tests of hand-overs share: the processes, and the connection that is to move. */
import type t from 'tap';
import { Actor, freshRegion } from './actor';
import { type Variant } from './variants';

type Test = Pick<typeof t, 'teardown'>;

export interface Cast {
  readonly peer: Actor;
  readonly holders: readonly Actor[];
  readonly region: string;
}

export async function cast(test: Test, variant: Variant, holders: number): Promise<Cast> {
  const region = freshRegion(test, variant.under);
  const start = (name: string): Promise<Actor> => Actor.start(test, { region, ...variant.options, name });
  const [peer, ...rest] = await Promise.all([
    start('peer'),
    ...Array.from({ length: holders }, (_, i) => start(`holder ${i}`)),
  ]);
  return { peer, holders: rest, region };
}

export function at(actors: readonly Actor[], i: number): Actor {
  const actor = actors[i % actors.length];
  if (actor === undefined) throw new Error('no actors');
  return actor;
}
