/**
 * A soak: processes that talk to each other at random while one of them is killed every second and started again. Keeps
 * the books: a connection may end early only where a process that carried it was killed, and neither the region nor a
 * process that lives on may grow.
 */
import fs from 'node:fs';
import path from 'node:path';
import { Random } from '../engine/random';
import {
  type HandOver,
  type Memory,
  nowMs,
  type Report,
  type Reset,
  type ToProcess,
  type ToSupervisor,
} from './messages';
import { type SoakChild, type SoakPlace } from './place';

export interface SoakOptions {
  readonly place: SoakPlace;
  readonly seconds: number;
  readonly seed: number;
  readonly killEveryMs: number;
  readonly log: (line: string) => void;
}

/** One look at what may grow. */
export interface Sample {
  readonly atMs: number;
  readonly regionBytes: number;
  readonly regionFiles: number;
  /** Of the processes that are never killed. */
  readonly elders: readonly Memory[];
}

/**
 * A young generation of one size: V8 maps 70 pages at once when it lets it grow, which would pass for mappings that are
 * never given back.
 */
const EXEC_ARGV = ['--expose-gc', '--max-semi-space-size=1'];
/** The first so many are never killed: growth shows in those who live. */
const ELDERS = 2;
const SAMPLE_MS = 2000;
const STOP_MS_MAX = 240_000;
/** A give lasts so long, and its taker may have died before. */
const GIVE_MS = 3000;

interface Running {
  readonly child: SoakChild;
  readonly slot: number;
  readonly life: number;
  readonly ended: Promise<void>;
  over: boolean;
}

export class Soak {
  readonly #options: SoakOptions;
  readonly #random: Random;
  readonly #running: (Running | undefined)[];
  readonly #lives: number[];
  /** When each life was killed. */
  readonly #killedMs = new Map<string, number>();
  readonly #resets: Reset[] = [];
  readonly #elders = new Map<number, Memory>();
  /** Times at which nobody listened for a slot: from a death (or the beginning) until it is ready again. */
  readonly #gaps: { readonly slot: number; readonly fromMs: number; toMs: number }[] = [];
  #stopping = false;
  #stoppedMs = Infinity;
  readonly samples: Sample[] = [];
  readonly failures: string[] = [];
  readonly noticesMs: number[] = [];
  whole = 0;
  bytes = 0;
  taken = 0;
  kills = 0;
  reset = 0;

  constructor(options: SoakOptions) {
    this.#options = options;
    this.#random = new Random(options.seed);
    const { processes } = options.place.load;
    this.#running = Array.from({ length: processes }, () => undefined);
    this.#lives = Array.from({ length: processes }, () => 0);
  }

  async run(): Promise<void> {
    const { seconds, killEveryMs } = this.#options;
    for (let slot = 0; slot < this.#lives.length; slot++) this.#start(slot);
    const endMs = nowMs() + seconds * 1000;
    let killMs = nowMs() + 2 * killEveryMs;
    let sampleMs = nowMs() + SAMPLE_MS;
    while (nowMs() < endMs) {
      await new Promise((resolve) => {
        setTimeout(resolve, Math.max(1, Math.min(killMs, sampleMs, endMs) - nowMs()));
      });
      if (nowMs() >= killMs) {
        killMs = nowMs() + killEveryMs;
        await this.#killOne();
      }
      if (nowMs() >= sampleMs) {
        sampleMs = nowMs() + SAMPLE_MS;
        this.#sample();
      }
    }
    await this.#stop();
    this.#judgeResets();
  }

  #start(slot: number): void {
    const life = (this.#lives[slot] ?? 0) + 1;
    this.#lives[slot] = life;
    const env = { STP_SYSTEM: 'soak', STP_DRIVER: slot % 4 === 3 ? 'direct' : 'auto' };
    const { place, seed } = this.#options;
    const { processes, connections, bytesMax } = place.load;
    const args = [slot, life, seed, processes, connections, bytesMax].map(String);
    const child = place.start(slot, args, EXEC_ARGV, env);
    child.onMessage = (message) => {
      this.#hear(slot, message);
    };
    const ended = child.ended.then(({ code, signal }) => {
      running.over = true;
      const killed = this.#killedMs.has(`${slot}.${life}`);
      if (!killed && (code !== 0 || !this.#stopping))
        this.failures.push(`process ${slot}.${life} ended by itself with ${signal ?? String(code)}`);
    });
    const running: Running = { child, slot, life, ended, over: false };
    this.#gaps.push({ slot, fromMs: this.#killedMs.get(`${slot}.${life - 1}`) ?? nowMs(), toMs: Infinity });
    this.#running[slot] = running;
  }

  #hear(slot: number, message: ToSupervisor): void {
    if (message.kind === 'handOver') this.#pass(message);
    else if (message.kind === 'report') this.#book(slot, message);
    else for (const gap of this.#gaps) if (gap.slot === slot) gap.toMs = Math.min(gap.toMs, nowMs());
  }

  #pass(message: HandOver): void {
    this.#send(this.#running[message.to], message);
  }

  #send(running: Running | undefined, message: ToProcess): void {
    if (running?.over === false) running.child.send(message);
  }

  #book(slot: number, { whole, bytes, taken, resets, failures, memory }: Report): void {
    this.whole += whole;
    this.bytes += bytes;
    this.taken += taken;
    this.#resets.push(...resets);
    this.failures.push(...failures);
    for (const failure of failures) this.#options.log(`FAILED ${failure}`);
    if (slot < ELDERS && !this.#stopping) this.#elders.set(slot, memory);
  }

  async #killOne(): Promise<void> {
    const slot = this.#random.between(ELDERS, this.#lives.length - 1);
    const running = this.#running[slot];
    if (running === undefined) return;
    this.#killedMs.set(`${running.slot}.${running.life}`, nowMs());
    running.child.kill();
    await running.ended;
    this.kills += 1;
    this.#start(slot);
  }

  #sample(): void {
    for (const running of this.#running) this.#send(running, { kind: 'report' });
    const { bytes, files } = sizeOf(this.#options.place.region);
    this.samples.push({ atMs: nowMs(), regionBytes: bytes, regionFiles: files, elders: [...this.#elders.values()] });
  }

  async #stop(): Promise<void> {
    this.#stopping = true;
    this.#stoppedMs = nowMs();
    for (const running of this.#running) this.#send(running, { kind: 'stop' });
    const late = setTimeout(() => {
      for (const running of this.#running) {
        if (running?.over !== false) continue;
        this.failures.push(`process ${running.slot}.${running.life} does not come to its end`);
        this.#killedMs.set(`${running.slot}.${running.life}`, nowMs());
        running.child.kill();
      }
    }, STOP_MS_MAX);
    for (const running of this.#running) await running?.ended;
    clearTimeout(late);
  }

  /** Each reset needs a death, or somebody who was not there. */
  #judgeResets(): void {
    for (const reset of this.#resets) {
      this.reset += 1;
      const { by, code, beganMs, atMs } = reset;
      if (by === undefined) {
        if (!this.#isExcused(reset)) this.failures.push(`${code} where nobody was killed, ${this.#story(reset)}`);
        continue;
      }
      const killedMs = this.#killedMs.get(`${by.slot}.${by.life}`);
      if (killedMs === undefined)
        this.failures.push(`${code} from process ${by.slot}.${by.life}, which was not killed`);
      else if (killedMs > beganMs) this.noticesMs.push(Math.max(0, atMs - killedMs));
    }
  }

  /** What happened to the process that was asked, before and after. */
  #story({ asked, beganMs, atMs }: Reset): string {
    const seconds = (ms: number): string => ((ms - atMs) / 1000).toFixed(1);
    const gaps = this.#gaps
      .filter((gap) => gap.slot === asked)
      .slice(-3)
      .map(({ fromMs, toMs }) => `${seconds(fromMs)} to ${seconds(toMs)} s`);
    return `begun at ${seconds(beganMs)} s, process ${asked ?? 'unknown'} away from ${gaps.join(', ')}`;
  }

  /**
   * Where nobody knows who was at the other end: whoever was asked was not there, or the connection was to be handed
   * over and anybody may have died.
   */
  #isExcused({ asked, beganMs, atMs }: Reset): boolean {
    const { leaseMs, clockMs } = this.#options.place;
    if (atMs >= this.#stoppedMs - clockMs) return true;
    const slackMs = GIVE_MS + leaseMs + clockMs;
    const meets = (gap: { fromMs: number; toMs: number }): boolean =>
      gap.fromMs <= atMs + clockMs && gap.toMs >= beganMs - slackMs;
    return this.#gaps.some(
      (gap) => meets(gap) && (asked === undefined || gap.slot === asked || gap.fromMs >= beganMs - slackMs),
    );
  }
}

/** Room that a region takes on its file system. */
export function sizeOf(directory: string): { bytes: number; files: number } {
  let bytes = 0;
  let files = 0;
  // Made by whoever comes first, which may be after the first look.
  if (!fs.existsSync(directory)) return { bytes, files };
  for (const entry of fs.readdirSync(directory, { recursive: true, withFileTypes: true })) {
    const stat = fs.lstatSync(path.join(entry.parentPath, entry.name), { throwIfNoEntry: false });
    if (stat === undefined || stat.isDirectory()) continue;
    bytes += stat.blocks * 512;
    files += 1;
  }
  return { bytes, files };
}
