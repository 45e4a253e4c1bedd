/**
 * The thread that beats while the program's own thread is held up: the entry of a worker, see heartbeat-sender.ts.
 *
 * It writes one block of processes/N, the heartbeat, by a descriptor of its own, and nothing else; it holds nothing
 * that another thread or process waits for. From the moment it is the owner only this thread writes that block.
 */
import { workerData } from 'node:worker_threads';
import { PlainFile, type SameFile } from '../storage/positioned-file';
import { FileBlockWriter } from '../storage/block-file';
import { BeatOwner, BeatClock } from './beat-clock';
import { HeartbeatWriter } from './heartbeat';
import { setInterval } from '../host';

/** What the thread is given. */
export interface BeatOrders {
  readonly file: SameFile;
  readonly beatMs: number;
  readonly clock: SharedArrayBuffer;
}

const { file, beatMs, clock } = workerData as BeatOrders;
const heartbeat = new HeartbeatWriter(
  new FileBlockWriter(PlainFile.again(file)),
  new BeatClock(beatMs, clock),
  BeatOwner.thread,
);

function beat(): void {
  try {
    heartbeat.beat();
  } catch {
    // The next beat tries again, and the clock knows.
  }
}

beat();
setInterval(beat, beatMs);
