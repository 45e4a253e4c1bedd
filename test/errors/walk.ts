/**
 * Walks every pair of a file call and an errno through every phase: the code that the caller is told must be the
 * declared one, the bystander must notice nothing, and when the cause is gone all must work.
 */
import { type Fault } from './fault-control';
import { LASTING, NEVER, PASSING, TOLD } from './pairs';
import { type Party, type Phase } from './phases';
import { type Scene } from './scene';

/** A cause at the side that others wait for goes away by itself after so long, milliseconds. */
const CAUSE_MS = 100;
const HANG_MS = 15_000;

interface Tried {
  readonly code: string;
  readonly hits: number;
  readonly seen: readonly string[];
}

export interface WalkReport {
  pairs: number;
  readonly findings: string[];
  readonly reached: Set<string>;
  readonly outcomes: Map<string, number>;
  slowestMs: number;
}

export class Walk {
  readonly report: WalkReport = { pairs: 0, findings: [], reached: new Set(), outcomes: new Map(), slowestMs: 0 };
  readonly #scene: Scene;
  readonly #told: (line: string) => void;
  #number = 0;

  constructor(scene: Scene, told: (line: string) => void) {
    this.#scene = scene;
    this.#told = told;
  }

  /** `wanted` chooses pairs by their number. */
  async phase(phase: Phase, wanted: (pair: number) => boolean = () => true): Promise<void> {
    for (const call of await this.#calls(phase)) {
      const [operation = ''] = call.split(' ');
      this.report.reached.add(operation);
      if (LASTING[operation] === undefined) this.find(`${phase.title}: ${call} has no row in test/errors/pairs.ts`);
      const lasting = (NEVER.includes(call) ? [] : (LASTING[operation] ?? [])).map((code) => ({
        call,
        code,
        times: Infinity,
      }));
      const passing = (PASSING[operation] ?? []).map((code) => ({ call, code, times: 1 }));
      const faults = [...lasting, ...passing].filter(() => wanted(++this.#number));
      if (faults.length > 0) await this.#call(phase, faults);
    }
  }

  /** What the phase calls where nothing fails; a second time, since the first may find things that it makes once. */
  async #calls(phase: Phase): Promise<string[]> {
    const first = await this.#try(phase, undefined);
    await this.#scene.leave();
    const second = await this.#try(phase, undefined);
    await this.#scene.leave();
    if (first.code !== '' || second.code !== '')
      this.find(`${phase.title}: ${first.code} ${second.code} where nothing failed`);
    return [...new Set([...first.seen, ...second.seen])].sort();
  }

  async #call(phase: Phase, faults: readonly Fault[]): Promise<void> {
    for (const fault of faults) {
      const title =
        `${this.#scene.variant.title}, ${phase.title}, ${fault.call}, ` +
        `${fault.code}${fault.times === 1 ? ' once' : ''}`;
      this.report.pairs += 1;
      const beganMs = performance.now();
      const { code, hits } = await this.#try(phase, fault);
      this.#note(title, hits === 0 ? 'not reached' : code === '' ? 'goes on' : code, performance.now() - beganMs);
      const told = fault.times === 1 ? '' : TOLD[fault.code];
      // To its peer, a process whose link fails has reset the connection.
      if (
        code !== '' &&
        code !== told &&
        !((phase.armed === 'server' || phase.title === 'give') && code === 'ECONNRESET')
      )
        this.find(`${title}: ${code}`);
      const bystander = await this.#scene.bystander();
      if (bystander !== '') this.find(`${title}: the bystander has ${bystander}`);
      // What has not come about can be tried again by the same thread.
      if (code === '') await this.#scene.leave();
    }
    const { code } = await this.#try(phase, undefined);
    if (code !== '')
      this.find(
        `${this.#scene.variant.title}, ${phase.title}, ${faults.at(-1)?.call ?? ''}: ${code} when its cause was gone`,
      );
    await this.#scene.leave();
  }

  #note(title: string, outcome: string, ms: number): void {
    this.report.outcomes.set(outcome, (this.report.outcomes.get(outcome) ?? 0) + 1);
    this.report.slowestMs = Math.max(this.report.slowestMs, ms);
    this.#told(`${title}: ${outcome}, ${ms.toFixed(0)} ms`);
  }

  find(what: string): void {
    console.log(`FAILED ${what}`);
    this.report.findings.push(what);
  }

  async #try(phase: Phase, fault: Fault | undefined): Promise<Tried> {
    const scene = this.#scene;
    const { fresh } = scene;
    await phase.prepare?.(scene, fresh);
    const party: Party = phase.armed === 'fresh' ? fresh : phase.armed === 'server' ? scene.server : scene.client;
    await party.run(
      (kit, wanted, forMs) => {
        kit.faults.watch();
        if (wanted === null) return;
        kit.faults.arm(wanted);
        if (forMs > 0)
          setTimeout(() => {
            kit.faults.disarm();
          }, forMs);
      },
      fault ?? null,
      phase.armed === 'server' ? CAUSE_MS : 0,
    );
    const code = await within(phase.act(scene, fresh));
    const { hits, seen } = await party.run((kit) => ({ hits: kit.faults.disarm(), seen: [...kit.faults.seen] }));
    return { code, hits, seen };
  }
}

async function within(acting: Promise<string>): Promise<string> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<string>((resolve) => {
    timer = setTimeout(() => {
      resolve('hangs');
    }, HANG_MS);
  });
  const code = await Promise.race([acting, late]);
  clearTimeout(timer);
  return code;
}
