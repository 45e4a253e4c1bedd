/**
 * A cluster under the hook: workers on one port share what comes by STP; the death of one costs nobody else anything,
 * and who is busy keeps nobody waiting.
 */
import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import { environment, PATIENCE_MS, REGISTER, scratch } from '../shim/kit';

const PROGRAMS = path.join(__dirname, '../../..', 'test/e2e/programs');
const TOTAL = 1000;
const WORKERS = 4;
/** Those that live from the first connection to the last. */
const STEADY = [1, 3, 4];
/** Of an even share of what the steady ones serve: a worker to which the system gives less time serves less. */
const SHARE_LEAST = 0.6;

interface Result {
  readonly samePort: boolean;
  readonly spread: Readonly<Record<string, number>>;
  readonly refused: number;
  readonly othersLost: number;
  readonly replaced: boolean;
  readonly transports: readonly string[];
  readonly exits: readonly (string | number)[];
}

for (const { net, policy } of [
  { net: 'auto', policy: 'rr' },
  { net: 'stp', policy: 'none' },
]) {
  void t.test(
    `four workers share 1,000 connections, and one is killed and replaced: STP_NET=${net}, policy ${policy}`,
    async (t) => {
      const { region, remove } = scratch();
      t.teardown(remove);
      const env = environment({ STP_REGION: region, STP_NET: net });
      const { stdout } = await promisify(execFile)(
        process.execPath,
        ['--require', REGISTER, path.join(PROGRAMS, 'cluster.cjs'), policy],
        { env, timeout: PATIENCE_MS },
      );
      const { spread, transports, ...result } = JSON.parse(stdout) as Result;
      t.same(result, { samePort: true, refused: 0, othersLost: 0, replaced: true, exits: [0, 0, 0, 0, 'SIGKILL'] });
      // In `auto` a worker that is busy when it is met for the first time is reached by TCP.
      t.same(
        transports.filter((transport) => net === 'stp' || transport !== 'tcp'),
        ['stp'],
        'which way they went',
      );
      const even = STEADY.reduce((sum, worker) => sum + (spread[worker] ?? 0), 0) / STEADY.length;
      for (const worker of STEADY)
        t.ok(
          (spread[worker] ?? 0) >= even * SHARE_LEAST,
          `worker ${worker} served ${spread[worker] ?? 0}, an even share is ${even.toFixed(0)}`,
        );
      t.ok(even >= TOTAL / WORKERS, `the killed one's share is theirs: ${even.toFixed(0)} each`);
      t.ok((spread[2] ?? 0) > 0, `the one that was killed served ${spread[2] ?? 0}`);
      t.ok((spread[0] ?? 0) <= 40, `${spread[0] ?? 0} were greeted by nobody: at most those that were under way`);
    },
  );
}

for (const { net, policy } of [
  { net: 'stp', policy: 'rr' },
  { net: 'auto', policy: 'none' },
]) {
  void t.test(
    `a worker that is held up keeps no connection waiting while others have time: STP_NET=${net}, policy ${policy}`,
    async (t) => {
      const { region, remove } = scratch();
      t.teardown(remove);
      const env = environment({ STP_REGION: region, STP_NET: net, BUSY_FOR_EVER: '1' });
      const { stdout } = await promisify(execFile)(
        process.execPath,
        ['--require', REGISTER, path.join(PROGRAMS, 'busy.cjs'), policy],
        { env, timeout: PATIENCE_MS },
      );
      const { served, byTheBusyOne, inTime, acceptedForNothing, ...times } = JSON.parse(stdout) as Record<
        string,
        unknown
      >;
      t.same(
        { served, byTheBusyOne, inTime, acceptedForNothing },
        { served: 400, byTheBusyOne: 0, inTime: true, acceptedForNothing: 0 },
      );
      t.comment(JSON.stringify(times));
    },
  );
}

/** What the program prints without the hook. */
const RESTARTED = {
  wrong: [],
  servedByNewOnes: true,
  ways: { chosenThenNamed: 'EADDRINUSE', aloneTwice: 'EADDRINUSE', shared: true, sharedOverAlone: 'EADDRINUSE' },
  atTheEnd: 'ECONNREFUSED',
};

void t.test(
  'a cluster whose workers are replaced one by one refuses and loses nothing, ' +
    'and other ways to listen are what they are over TCP',
  async (t) => {
    const { region, remove } = scratch();
    t.teardown(remove);
    for (const { net, policy } of [
      { net: 'stp', policy: 'rr' },
      { net: 'auto', policy: 'none' },
    ]) {
      const env = environment({ STP_REGION: region, STP_NET: net });
      const { stdout } = await promisify(execFile)(
        process.execPath,
        ['--require', REGISTER, path.join(PROGRAMS, 'restart.cjs'), policy],
        { env, timeout: PATIENCE_MS },
      );
      t.same(JSON.parse(stdout), RESTARTED, `STP_NET=${net}, policy ${policy}`);
    }
  },
);
