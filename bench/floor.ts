/**
 * The floors: what Node itself needs for the work of a bench, whatever its transport costs.
 *
 * Forked, like client.ts. Of http: Node's client and its server in one process, joined by streams that only hand over
 * what they are given. One core does it all: two processes that have a core each can do more. Of a round trip after a
 * silence: two processes that wake each other by one byte (bell.ts).
 */
import { type BellTargets, listenTo, Ringer } from './bell';
import { answerRequests } from './client';
import {
  agentOptions,
  type BenchName,
  type BenchValues,
  HTTP_LOADS,
  type HttpLoad,
  IDLE_TRIPS,
  type Measure,
  requests,
  timedTrips,
} from './measures';
import { webServer } from './server';
import { PairAgent } from './stream-pair';

const web = webServer();

export const FLOORS: Readonly<Partial<Record<BenchName, Measure<BellTargets>>>> = {
  'http-1': httpWithin(HTTP_LOADS['http-1']),
  'http-50': httpWithin(HTTP_LOADS['http-50']),
  'http-500': httpWithin(HTTP_LOADS['http-500']),
  'round-trip-idle': (to, count) => ringsThereAndBack(to, count(IDLE_TRIPS.trips)),
};

function httpWithin(load: HttpLoad): Measure<unknown> {
  return (_to, count) => requests(new PairAgent(web, agentOptions(load)), {}, load.connections, count(load.total));
}

async function ringsThereAndBack({ there, back }: BellTargets, trips: number): Promise<BenchValues> {
  const ringer = new Ringer(there);
  let close = (): void => undefined;
  try {
    return await timedTrips({ ...IDLE_TRIPS, trips }, (arrived, failed) => {
      const socket = listenTo(back, arrived).once('error', failed);
      close = () => void socket.destroy();
      return () => {
        ringer.ring();
      };
    });
  } finally {
    close();
    ringer.close();
  }
}

if (require.main === module) answerRequests(FLOORS);
