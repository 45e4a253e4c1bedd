/**
 * Benches of several processes, or of processes that are new: each measurement starts its programs afresh, by the same
 * transport as this one.
 */
import { type ChildProcess, execFileSync, fork, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { answerOf, stopped } from './children';
import { type Job, type MemberAnswer, type Results } from './member';
import { type BenchTargets, type Usage } from './server';

type Values = Readonly<Record<string, number>>;
type ResultOf<J extends Job> = Results[J['job']];

/** So long a process that stands still is left alone before its memory is read, milliseconds. */
const SETTLE_MS = 300;

function settled(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
}

/** Unix sockets so far: a server that has ended leaves the name of its own behind. */
let pathCount = 0;

/** The programs of one measurement. */
class Crowd {
  readonly #children: ChildProcess[] = [];
  /** Beside which paths Unix sockets go; undefined where the transport has ports. */
  readonly #path: string | undefined;

  constructor({ net }: BenchTargets) {
    this.#path = typeof net === 'string' ? net : undefined;
  }

  /** A path for one more Unix socket. */
  newPath(): string | undefined {
    pathCount += 1;
    return this.#path === undefined ? undefined : `${this.#path}.${pathCount}`;
  }

  async server(): Promise<{ child: ChildProcess; targets: BenchTargets }> {
    const own = this.newPath();
    const child = this.#fork('server.js', own === undefined ? [] : [own]);
    return { child, targets: await answerOf<BenchTargets>(child, 'a server') };
  }

  member(): ChildProcess {
    return this.#fork('member.js', []);
  }

  #fork(program: string, args: readonly string[]): ChildProcess {
    const child = fork(path.join(__dirname, program), args, { execArgv: [...process.execArgv, '--expose-gc'] });
    this.#children.push(child);
    return child;
  }

  /** All of them on one core. */
  onOneCore(): void {
    for (const { pid } of this.#children)
      execFileSync('taskset', ['-a', '-c', '-p', String(firstCore()), String(pid)], { stdio: 'ignore' });
  }

  async stop(): Promise<void> {
    await Promise.all(this.#children.map(stopped));
  }
}

/** The first core that this process may use. */
function firstCore(): number {
  const allowed = /^Cpus_allowed_list:\s*(\d+)/mu.exec(fs.readFileSync('/proc/self/status', 'utf8'));
  return Number(allowed?.[1] ?? 0);
}

/** Whether programs can be put on one core here: `taskset` is a command of Linux. */
export function canShareCore(): boolean {
  return spawnSync('taskset', ['-p', String(process.pid)], { stdio: 'ignore' }).status === 0;
}

async function within<T>(targets: BenchTargets, measure: (crowd: Crowd) => Promise<T>): Promise<T> {
  const crowd = new Crowd(targets);
  try {
    return await measure(crowd);
  } finally {
    await crowd.stop();
  }
}

async function ask<J extends Job>(child: ChildProcess, job: J): Promise<ResultOf<J>> {
  const told = answerOf<MemberAnswer>(child, job.job);
  child.send(job);
  const { result, error } = await told;
  if (result === undefined) throw new Error(error ?? 'no result');
  return result as ResultOf<J>;
}

function usageOf(child: ChildProcess): Promise<Usage> {
  return ask(child, { job: 'usage' });
}

/** Pairs of processes that send one message there and back, all at once. */
export function pairs(to: BenchTargets, count: number, ms: number): Promise<Values> {
  return within(to, async (crowd) => {
    const servers = await Promise.all(Array.from({ length: count }, () => crowd.server()));
    const clients = servers.map(({ targets }) => ({ member: crowd.member(), target: targets.net }));
    const all = (forMs: number): Promise<number[]> =>
      Promise.all(clients.map(({ member, target }) => ask(member, { job: 'ping', target, ms: forMs })));
    await all(ms / 2);
    const trips = await all(ms);
    return { tripsPerS: (sum(trips) * 1000) / ms };
  });
}

/** A pair of processes that share one core. */
export function oneCore(to: BenchTargets, ms: number): Promise<Values> {
  return within(to, async (crowd) => {
    const { targets } = await crowd.server();
    const member = crowd.member();
    await usageOf(member);
    crowd.onOneCore();
    await ask(member, { job: 'ping', target: targets.net, ms: ms / 2 });
    return { tripsPerS: ((await ask(member, { job: 'ping', target: targets.net, ms })) * 1000) / ms };
  });
}

/** Processes that all listen, and make short connections to all others. */
export function mesh(to: BenchTargets, count: number, ms: number): Promise<Values> {
  return within(to, async (crowd) => {
    const members = Array.from({ length: count }, () => ({ path: crowd.newPath(), member: crowd.member() }));
    const targets = await Promise.all(
      members.map(({ path: own, member }) => ask(member, { job: 'listen', path: own })),
    );
    const done = await Promise.all(
      members.map(({ member }, i) =>
        ask(member, { job: 'mesh', targets: [...targets.slice(i + 1), ...targets.slice(0, i)], ms }),
      ),
    );
    return { connectsPerS: (sum(done) * 1000) / ms };
  });
}

/** New processes that make their first request at the same moment, to a new server. */
export function firstRequests(to: BenchTargets, count: number): Promise<Values> {
  return within(to, async (crowd) => {
    const { targets } = await crowd.server();
    const members = Array.from({ length: count }, () => crowd.member());
    await Promise.all(members.map(usageOf));
    const took = await Promise.all(members.map((member) => ask(member, { job: 'first', target: targets.http })));
    return { medianMs: middle(took) };
  });
}

/** Memory that connections take at both ends while nothing moves. */
export function idleConnections(to: BenchTargets, connections: number): Promise<Values> {
  return within(to, async (crowd) => {
    const { child, targets } = await crowd.server();
    const member = crowd.member();
    await ask(member, { job: 'hold', target: targets.net, connections: 1 });
    const memory = async (): Promise<number> => {
      await settled();
      return sum((await Promise.all([child, member].map(usageOf))).map(({ memoryBytes }) => memoryBytes));
    };
    const before = await memory();
    await ask(member, { job: 'hold', target: targets.net, connections });
    return { kilobytesEach: ((await memory()) - before) / connections / 1024 };
  });
}

/** Requests at a rate: what one costs both processes, and how long it takes. */
export function pacedRequests(to: BenchTargets, ratePerS: number, ms: number): Promise<Values> {
  return within(to, async (crowd) => {
    const { child, targets } = await crowd.server();
    const member = crowd.member();
    const cpu = async (): Promise<number> =>
      sum((await Promise.all([child, member].map(usageOf))).map(({ cpuUs }) => cpuUs));
    await ask(member, { job: 'paced', target: targets.http, ratePerS, ms: ms / 2 });
    const before = await cpu();
    const took = await ask(member, { job: 'paced', target: targets.http, ratePerS, ms });
    const cpuUs = (await cpu()) - before;
    return { cpuUsEach: cpuUs / took.length, p50Us: middle(took) * 1000 };
  });
}

/** Connections that are opened, used once and closed, all open at the same time. */
export function manyConnections(to: BenchTargets, connections: number): Promise<Values> {
  return within(to, async (crowd) => {
    const { targets } = await crowd.server();
    const member = crowd.member();
    await ask(member, { job: 'hold', target: targets.net, connections: 1 });
    const began = performance.now();
    await ask(member, { job: 'hold', target: targets.net, connections });
    await ask(member, { job: 'echo' });
    await ask(member, { job: 'drop' });
    return { usEach: ((performance.now() - began) * 1000) / connections };
  });
}

/** What new processes do in their first second, to a new server. */
export function firstSecond(to: BenchTargets, ms: number): Promise<Values> {
  return within(to, async (crowd) => {
    const fresh = async (): Promise<{ member: ChildProcess; targets: BenchTargets }> => {
      const [{ targets }, member] = [await crowd.server(), crowd.member()];
      await usageOf(member);
      return { member, targets };
    };
    const web = await fresh();
    const done = await ask(web.member, { job: 'requests', target: web.targets.http, ms });
    const rates: number[] = [];
    for (const messageBytes of [64, 65_536]) {
      const { member, targets } = await fresh();
      rates.push(await ask(member, { job: 'stream', target: targets.net, messageBytes, ms }));
    }
    const [small = NaN, large = NaN] = rates;
    return { requestsPerS: (done * 1000) / ms, messagesPerS: small, megabytesPerS: (large * 65_536) / 1e6 };
  });
}

/** What a process pays before its first byte. */
export function start(to: BenchTargets, starts: number): Promise<Values> {
  return within(to, async (crowd) => {
    const { targets } = await crowd.server();
    const took = Array.from({ length: starts }, () => {
      const began = performance.now();
      const { status } = spawnSync(process.execPath, [...process.execArgv, '--eval', '0'], { stdio: 'ignore' });
      if (status !== 0) throw new Error(`an empty program ended with ${String(status)}`);
      return performance.now() - began;
    });
    const member = crowd.member();
    await usageOf(member);
    const connectMs = await ask(member, { job: 'connect', target: targets.net });
    await settled();
    const { memoryBytes } = await usageOf(member);
    return { startMs: middle(took), connectMs, megabytes: memoryBytes / 1024 / 1024 };
  });
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function middle(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? NaN;
}
