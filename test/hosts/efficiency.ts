/**
 * What a socket between two hosts costs, as ratios to plain files on the same mount in the same run: one small message
 * there and back against one block there and back, bulk against a stream of large blocks, and what silence costs.
 */
import path from 'node:path';
import { type Stand } from './host';
import { HostActor } from './host-actor';
import { joinActors } from './scene';
import { measureSilence, type Silence, silenceText } from './silence';

const TRIPS = 1000;
/** Trips of each kind before the first that counts, and one transfer: a program is compiled while it runs. */
const WARM_TRIPS = 2000;
const BLOCK_BYTES = 4096;
const CHUNK_BYTES = 256 * 1024;
const BULK_BYTES = 32 * 1024 * 1024;
const ROUNDS = 5;
const STEP_MS = 300_000;

export interface Efficiency {
  readonly rawTripMs: number;
  readonly stpTripMs: number;
  readonly rawMegabytesPerS: number;
  readonly stpMegabytesPerS: number;
  readonly readsPerTrip: number;
  readonly writesPerTrip: number;
  /** Of the one that sends and the one that receives, for a MiB. */
  readonly bulkCalls: { readonly sender: Calls; readonly receiver: Calls };
  readonly silence: Silence;
}

interface Calls {
  readonly reads: number;
  readonly writes: number;
}

interface Stream {
  readonly megabytesPerS: number;
  readonly sender: Calls;
  readonly receiver: Calls;
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? NaN;
}

/** A file of each side: both make their own, then open the other's. */
async function rawPair(stand: Stand, a: HostActor, b: HostActor, name: string, bytes: number): Promise<void> {
  const open = (actor: HostActor, index: 0 | 1, file: string, direction: 'in' | 'out'): Promise<void> =>
    actor.run(
      (kit, where, size, way) => {
        kit.openRaw(way, where, size);
      },
      path.posix.join(stand.hosts[index].directory, `${name}-${file}`),
      bytes,
      direction,
    );
  await Promise.all([open(a, 0, 'a', 'out'), open(b, 1, 'b', 'out')]);
  await Promise.all([open(a, 0, 'b', 'in'), open(b, 1, 'a', 'in')]);
}

/** Median milliseconds of one block there and back. */
async function rawTrips(stand: Stand, a: HostActor, b: HostActor, name: string, trips = TRIPS): Promise<number> {
  await rawPair(stand, a, b, name, BLOCK_BYTES);
  const echoed = b.runWithin(
    STEP_MS,
    (kit, count, bytes) => {
      for (let i = 1; i <= count; i++) {
        kit.raw('in').await(i, bytes, 0);
        kit.raw('out').write(i, bytes, 0, bytes);
      }
    },
    trips,
    BLOCK_BYTES,
  );
  const measured = await a.runWithin(
    STEP_MS,
    (kit, count, bytes) => {
      const times: number[] = [];
      for (let i = 1; i <= count; i++) {
        const began = kit.nowMs();
        kit.raw('out').write(i, bytes, 0, bytes);
        kit.raw('in').await(i, bytes, 0);
        times.push(kit.nowMs() - began);
      }
      return times;
    },
    trips,
    BLOCK_BYTES,
  );
  await echoed;
  return median(measured);
}

/** Megabytes a second of blocks that one side writes and the other reads as they come. */
async function rawStream(stand: Stand, a: HostActor, b: HostActor, name: string): Promise<number> {
  await rawPair(stand, a, b, name, BULK_BYTES);
  const count = BULK_BYTES / CHUNK_BYTES;
  const began = performance.now();
  const read = b.runWithin(
    STEP_MS,
    (kit, blocks, bytes) => {
      for (let i = 0; i < blocks; i++) kit.raw('in').await(i + 1, bytes, i);
    },
    count,
    CHUNK_BYTES,
  );
  await a.runWithin(
    STEP_MS,
    (kit, blocks, bytes) => {
      for (let i = 0; i < blocks; i++) kit.raw('out').write(i + 1, bytes, i, bytes);
    },
    count,
    CHUNK_BYTES,
  );
  await read;
  return BULK_BYTES / 1e3 / (performance.now() - began);
}

interface Trips extends Calls {
  readonly ms: number;
}

async function stpTrips(a: HostActor, b: HostActor, trips = TRIPS): Promise<Trips> {
  const echoed = b.runWithin(
    STEP_MS,
    async (kit, count) => {
      const s = kit.fds['s'] ?? -1;
      for (let i = 0; i < count; i++) await kit.sendText(s, await kit.text(s, 64));
    },
    trips,
  );
  const measured = await a.runWithin(
    STEP_MS,
    async (kit, count) => {
      const s = kit.fds['s'] ?? -1;
      const times: number[] = [];
      const [reads, writes] = [kit.readCalls(), kit.writeCalls()];
      for (let i = 0; i < count; i++) {
        const began = kit.nowMs();
        await kit.sendText(s, 'x'.repeat(64));
        await kit.text(s, 64);
        times.push(kit.nowMs() - began);
      }
      return { times, reads: (kit.readCalls() - reads) / count, writes: (kit.writeCalls() - writes) / count };
    },
    trips,
  );
  await echoed;
  return { ms: median(measured.times), reads: measured.reads, writes: measured.writes };
}

async function stpStream(a: HostActor, b: HostActor): Promise<Stream> {
  const began = performance.now();
  const read = b.runWithin(
    STEP_MS,
    async (kit, bytes, chunk) => {
      const [reads, writes] = [kit.readCalls(), kit.writeCalls()];
      await kit.swallow(kit.fds['s'] ?? -1, bytes, chunk);
      return { reads: kit.readCalls() - reads, writes: kit.writeCalls() - writes };
    },
    BULK_BYTES,
    CHUNK_BYTES,
  );
  const sent = await a.runWithin(
    STEP_MS,
    async (kit, bytes, chunk) => {
      const [reads, writes] = [kit.readCalls(), kit.writeCalls()];
      await kit.pour(kit.fds['s'] ?? -1, bytes, chunk);
      return { reads: kit.readCalls() - reads, writes: kit.writeCalls() - writes };
    },
    BULK_BYTES,
    CHUNK_BYTES,
  );
  const received = await read;
  return {
    megabytesPerS: BULK_BYTES / 1e3 / (performance.now() - began),
    sender: perMebibyte(sent),
    receiver: perMebibyte(received),
  };
}

function perMebibyte({ reads, writes }: Calls): Calls {
  const mebibytes = BULK_BYTES / 1024 / 1024;
  return { reads: reads / mebibytes, writes: writes / mebibytes };
}

function medianCalls(calls: readonly Calls[]): Calls {
  return { reads: median(calls.map(({ reads }) => reads)), writes: median(calls.map(({ writes }) => writes)) };
}

/** All figures of one stand; plain files and sockets take turns. */
export async function measureEfficiency(stand: Stand, say: (text: string) => void): Promise<Efficiency> {
  const start = (index: 0 | 1): Promise<HostActor> =>
    HostActor.start(stand.hosts[index], {
      region: 'region-bench',
      system: index === 0 ? 'alpha' : 'beta',
      leaseMs: stand.leaseMs,
    });
  const [a, b] = await Promise.all([start(0), start(1)]);
  try {
    await joinActors(a, b);
    const raw: { trip: number[]; stream: number[] } = { trip: [], stream: [] };
    const stp: { trip: Trips[]; stream: Stream[] } = { trip: [], stream: [] };
    say('warming up');
    await rawTrips(stand, a, b, 'trip-warm', WARM_TRIPS);
    await stpTrips(a, b, WARM_TRIPS);
    await rawStream(stand, a, b, 'stream-warm');
    await stpStream(a, b);
    for (let round = 0; round < ROUNDS; round++) {
      say(`round ${round + 1} of ${ROUNDS}`);
      raw.trip.push(await rawTrips(stand, a, b, `trip-${round}`));
      stp.trip.push(await stpTrips(a, b));
      raw.stream.push(await rawStream(stand, a, b, `stream-${round}`));
      stp.stream.push(await stpStream(a, b));
    }
    say('silence');
    const silence = await measureSilence([a, b]);
    return {
      rawTripMs: median(raw.trip),
      stpTripMs: median(stp.trip.map(({ ms }) => ms)),
      rawMegabytesPerS: median(raw.stream),
      stpMegabytesPerS: median(stp.stream.map(({ megabytesPerS }) => megabytesPerS)),
      bulkCalls: {
        sender: medianCalls(stp.stream.map(({ sender }) => sender)),
        receiver: medianCalls(stp.stream.map(({ receiver }) => receiver)),
      },
      readsPerTrip: median(stp.trip.map((trip) => trip.reads)),
      writesPerTrip: median(stp.trip.map((trip) => trip.writes)),
      silence,
    };
  } finally {
    await Promise.all([a.kill(), b.kill()]);
  }
}

export function efficiencyTable(figures: Efficiency): string {
  const {
    rawTripMs,
    stpTripMs,
    rawMegabytesPerS,
    stpMegabytesPerS,
    bulkCalls: { sender, receiver },
  } = figures;
  return [
    '                          files      stp  ratio',
    `round trip, ms         ${rawTripMs.toFixed(2).padStart(8)} ${stpTripMs.toFixed(2).padStart(8)}  ` +
      `${(stpTripMs / rawTripMs).toFixed(2)}   (${figures.readsPerTrip.toFixed(1)} reads ` +
      `and ${figures.writesPerTrip.toFixed(1)} writes at each end)`,
    `bulk one way, MB/s     ${rawMegabytesPerS.toFixed(1).padStart(8)} ` +
      `${stpMegabytesPerS.toFixed(1).padStart(8)}  ${(stpMegabytesPerS / rawMegabytesPerS).toFixed(2)}   ` +
      `(for a MiB ${callsText(sender)} at the sender, ${callsText(receiver)} at the receiver)`,
    `silence: ${silenceText(figures.silence)}`,
  ].join('\n');
}

function callsText({ reads, writes }: Calls): string {
  return `${reads.toFixed(1)} reads and ${writes.toFixed(1)} writes`;
}
