/** The process of a HostActor: runs the steps that come as lines on standard input. */
// First: it puts itself between the library and its file calls.
import { callsOf } from './call-counts';
import { readFileSync } from 'node:fs';
import readline from 'node:readline';
import * as stp from '../../src';
import { Region } from '../../src/region';
import { makeOld } from '../soak/place';
import { Kit } from '../calls/kit';
import { OUTCOME_PREFIX, type Outcome, type Step } from './host-actor';
import { RawFile } from './raw-file';

export class HostKit extends Kit {
  readonly regions: Region[] = [];
  readonly #raw = new Map<'in' | 'out', RawFile>();

  /** Opens a region besides the one of the calls, and tells its id. */
  openRegion(directory: string, system: string): number {
    const region = Region.open({ directory, system, group: 'STG', driver: 'auto' });
    this.regions.push(region);
    return region.id;
  }

  /** Systems in the region that was opened last, sorted; leaves it. */
  leaveRegion(): string[] {
    const region = this.regions.pop();
    const systems =
      region
        ?.processes()
        .map((info) => info.system)
        .sort() ?? [];
    region?.close();
    return systems;
  }

  /** Opens a region and leaves it, which clears up after the dead of this host; its number there. */
  visitRegion(directory: string, system: string): number {
    const region = Region.open({ directory, system, group: 'STG', driver: 'auto' });
    region.close();
    return region.self.number;
  }

  /** Sends `total` bytes as a stream does: the next chunk waits behind the one that is under way. */
  async pour(s: number, total: number, chunkBytes: number): Promise<void> {
    const chunk = Buffer.alloc(chunkBytes, 'x');
    let last: Promise<number> = Promise.resolve(0);
    for (let at = 0; at < total; at += chunkBytes) {
      const next = stp.STPsend(s, chunk);
      await last;
      last = next;
    }
    await last;
  }

  /** Receives `total` bytes, whatever they are. */
  async swallow(s: number, total: number, chunkBytes: number): Promise<void> {
    const into = Buffer.allocUnsafe(chunkBytes);
    for (let at = 0; at < total;) {
      const n = await stp.STPrecv(s, into);
      if (n === 0) throw new Error(`the stream ended after ${at} bytes`);
      at += n;
    }
  }

  /** Sets the times of all files in a directory back. */
  makeOld(directory: string): void {
    makeOld(directory);
  }

  /** A plain file to write (`out`, made with all its bytes) or to read. */
  openRaw(direction: 'in' | 'out', file: string, bytes: number): void {
    this.#raw.get(direction)?.close();
    this.#raw.set(direction, new RawFile(file, bytes, direction === 'out'));
  }

  /** The same to read through the page cache of this host. */
  openBuffered(file: string, bytes: number): void {
    this.#raw.get('in')?.close();
    this.#raw.set('in', RawFile.buffered(file, bytes));
  }

  raw(direction: 'in' | 'out'): RawFile {
    const file = this.#raw.get(direction);
    if (file === undefined) throw new Error(`no file ${direction}`);
    return file;
  }

  /** Calls that write files of the region; without the heartbeat, which may have a thread of its own. */
  writeCalls(): number {
    return callsOf('write');
  }

  /** Calls that read files of the region. */
  readCalls(): number {
    return callsOf('read');
  }

  /** Calls that list directories of the region. */
  listCalls(): number {
    return callsOf('readdir');
  }

  /** Tells kernels apart, and one kernel's starts. */
  bootId(): string {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  }

  /** Processor time of this process, milliseconds. */
  cpuMs(): number {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1000;
  }
}

type Act = (kit: HostKit, ...args: readonly unknown[]) => unknown;

function compile(source: string): Act {
  // eslint-disable-next-line @typescript-eslint/no-implied-eval -- the source is a function of the test itself.
  const make = new Function(`return (${source});`) as () => Act;
  return make();
}

function tell(outcome: Outcome): void {
  process.stdout.write(`${OUTCOME_PREFIX}${JSON.stringify(outcome)}\n`);
}

async function run(kit: HostKit, step: Step): Promise<void> {
  try {
    tell({ id: step.id, value: await compile(step.source)(kit, ...step.args) });
  } catch (error) {
    tell({ id: step.id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) });
  }
}

function main(): void {
  const kit = new HostKit();
  const input = readline.createInterface({ input: process.stdin });
  input.on('line', (line) => void run(kit, JSON.parse(line) as Step));
  // The test is gone: so are we.
  input.on('close', () => process.exit());
  tell({ id: 0 });
}

if (require.main === module) main();
