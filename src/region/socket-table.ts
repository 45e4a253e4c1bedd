/**
 * The socket control blocks of this process: values in memory, published to its file by the block, when the caller says
 * so.
 *
 * The hot path only sets a bit ({@link SocketTable.touch}); counters are fetched when a block is written. Only this
 * process ever writes its control blocks; all processes may read them, also after our death.
 */
import { crashPoint } from '../crash-points';
import { StpError } from '../errors';
import { PROCESS_BLOCKS, Scb, type LayoutValues, SCBS_PER_BLOCK, SocketsHead, SocketState } from '../layout';
import { type BlockWriter } from '../storage';

export type ScbValues = LayoutValues<typeof Scb.fields>;

/** What moves while a connection lives, and is fetched late. Sizes in bytes. */
export interface ScbCounters {
  bytesReceived: number;
  bytesSent: number;
  receiveQueuedBytes: number;
  sendQueuedBytes: number;
}

const FIELDS = Scb.fields;
const BLOCK_BYTES_USED = SCBS_PER_BLOCK * Scb.sizeBytes;
const U32 = 0x1_0000_0000;
/** Blocks that are announced at first. */
const BLOCKS_FIRST = 16;

/** One block of control blocks, as it goes to the file. */
interface ScbBlock {
  readonly index: number;
  readonly payload: Uint8Array;
  readonly view: DataView;
  /** One bit for each socket whose counters are to be fetched. */
  touched: number;
  dirty: boolean;
}

export class SocketTable {
  /** Fetches the counters of a touched socket; must set all of them. Set by the owner of the sockets. */
  fill: ((index: number, counters: ScbCounters) => void) | undefined;
  readonly #file: BlockWriter;
  readonly #socketsMax: number;
  readonly #blocks: (ScbBlock | undefined)[] = [];
  /** How far a reader looks for blocks, see SocketsHead. */
  #announced = 0;
  readonly #dirty: ScbBlock[] = [];
  readonly #counters: ScbCounters = { bytesReceived: 0, bytesSent: 0, receiveQueuedBytes: 0, sendQueuedBytes: 0 };

  constructor(file: BlockWriter, socketsMax: number) {
    this.#file = file;
    this.#socketsMax = socketsMax;
  }

  /** True while something waits for flush(). */
  get dirty(): boolean {
    return this.#dirty.length > 0;
  }

  /**
   * Makes sure that the control block of socket `index` can be written later: ENOSPC, EDQUOT, EIO here. EMFILE: past
   * the region's limit.
   */
  allocate(index: number): void {
    if (!Number.isInteger(index) || index < 0) throw new StpError('EINVAL', 'socket index must be an integer from 0');
    if (index >= this.#socketsMax) throw new StpError('EMFILE', `the region allows ${this.#socketsMax} sockets`);
    const at = Math.floor(index / SCBS_PER_BLOCK);
    if (this.#blocks[at] !== undefined) return;
    const payload = new Uint8Array(BLOCK_BYTES_USED);
    crashPoint('slot.growing');
    this.#announce(at);
    this.#file.write(PROCESS_BLOCKS.sockets + at, payload);
    crashPoint('slot.grown');
    this.#blocks[at] = { index: at, payload, view: new DataView(payload.buffer), touched: 0, dirty: false };
  }

  /** Tells readers of a block before it is there; far ahead, so that it is seldom done. */
  #announce(at: number): void {
    if (at < this.#announced) return;
    const blocks = Math.min(Math.ceil(this.#socketsMax / SCBS_PER_BLOCK), Math.max(2 * at, BLOCKS_FIRST));
    const payload = new Uint8Array(SocketsHead.sizeBytes);
    SocketsHead.encode({ blocks }, payload);
    this.#file.write(PROCESS_BLOCKS.socketsHead, payload);
    this.#announced = blocks;
  }

  /**
   * Takes the values of an allocated socket; published by the next flush. A value that does not fit is EINVAL and
   * changes nothing.
   */
  set(index: number, scb: ScbValues): void {
    const block = this.#block(index);
    const at = (index % SCBS_PER_BLOCK) * Scb.sizeBytes;
    Scb.encode(scb, scratch);
    block.payload.set(scratch, at);
    block.touched &= ~(1 << (index % SCBS_PER_BLOCK));
    this.#mark(block);
  }

  /** The values as last set, with the counters as last fetched. */
  get(index: number): ScbValues {
    return Scb.decode(this.#block(index).payload, (index % SCBS_PER_BLOCK) * Scb.sizeBytes);
  }

  /** Counters of the socket have moved; they are fetched by {@link fill} at the next flush. */
  touch(index: number): void {
    const block = this.#blocks[Math.floor(index / SCBS_PER_BLOCK)];
    if (block === undefined) return;
    block.touched |= 1 << (index % SCBS_PER_BLOCK);
    if (!block.dirty) this.#mark(block);
  }

  /** The socket is no more. Its generation stays, so that the next one can differ. */
  free(index: number): void {
    const block = this.#block(index);
    const at = (index % SCBS_PER_BLOCK) * Scb.sizeBytes;
    block.payload.fill(0, at + FIELDS.state.at, at + Scb.sizeBytes);
    block.view.setUint8(at + FIELDS.state.at, SocketState.free);
    block.touched &= ~(1 << (index % SCBS_PER_BLOCK));
    this.#mark(block);
  }

  /** Writes every dirty block, one write each. Where one fails, it and those after it stay dirty. */
  flush(): void {
    while (this.#dirty.length > 0) {
      const block = this.#dirty[this.#dirty.length - 1];
      if (block === undefined) return;
      this.#fetch(block);
      this.#file.write(PROCESS_BLOCKS.sockets + block.index, block.payload);
      crashPoint('slot.published');
      block.dirty = false;
      this.#dirty.pop();
    }
  }

  #fetch(block: ScbBlock): void {
    if (block.touched === 0) return;
    const counters = this.#counters;
    const first = block.index * SCBS_PER_BLOCK;
    for (let i = 0; i < SCBS_PER_BLOCK; i += 1) {
      if ((block.touched & (1 << i)) === 0) continue;
      this.fill?.(first + i, counters);
      const at = i * Scb.sizeBytes;
      setU64(block.view, at + FIELDS.bytesReceived.at, counters.bytesReceived);
      setU64(block.view, at + FIELDS.bytesSent.at, counters.bytesSent);
      block.view.setUint32(at + FIELDS.receiveQueuedBytes.at, counters.receiveQueuedBytes, true);
      block.view.setUint32(at + FIELDS.sendQueuedBytes.at, counters.sendQueuedBytes, true);
    }
    block.touched = 0;
  }

  #mark(block: ScbBlock): void {
    if (block.dirty) return;
    block.dirty = true;
    this.#dirty.push(block);
  }

  #block(index: number): ScbBlock {
    const block = Number.isInteger(index) && index >= 0 ? this.#blocks[Math.floor(index / SCBS_PER_BLOCK)] : undefined;
    if (block === undefined) throw new StpError('EINVAL', `socket ${String(index)} is not allocated`);
    return block;
  }
}

const scratch = new Uint8Array(Scb.sizeBytes);

function setU64(view: DataView, at: number, value: number): void {
  view.setUint32(at, value % U32, true);
  view.setUint32(at + 4, Math.floor(value / U32), true);
}
