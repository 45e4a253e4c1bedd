/**
 * Memory aligned to 4096 bytes, as O_DIRECT wants it, without native code: a WebAssembly memory starts on a page.
 *
 * Every such memory reserves gigabytes of address space, so a few big ones are cut into slices: one
 * list of free slices per size. Untouched slices cost no memory.
 */
import { StpError } from '../errors';
import { BLOCK_BYTES } from '../layout';

const WASM_PAGE_BYTES = 65_536;
const ARENA_BYTES = 4 * 1024 * 1024;

interface WasmMemory {
  readonly buffer: ArrayBuffer;
}
type WasmMemoryConstructor = new (limits: { initial: number; maximum: number }) => WasmMemory;

const free = new Map<number, Buffer[]>();
/** Slices that are out: what is not one of them is not taken back. */
const taken = new WeakSet<Buffer>();
let arena: ArrayBuffer | undefined;
let arenaUsedBytes = 0;

/** True where aligned memory can be had at all (not under --jitless). */
export function canAlign(): boolean {
  return wasmMemory() !== undefined;
}

/**
 * Memory of `bytes` (a multiple of 4096, at most 4 MiB), zeroed, that starts on a page. Give it back with {@link
 * giveAligned}.
 */
export function takeAligned(bytes: number): Buffer {
  const slices = free.get(bytes);
  const slice = slices?.pop();
  if (slice !== undefined) {
    taken.add(slice);
    return slice.fill(0);
  }
  if (bytes % BLOCK_BYTES !== 0 || bytes <= 0 || bytes > ARENA_BYTES)
    throw new StpError('EINVAL', `aligned memory of ${bytes} bytes`);
  if (arena === undefined || arenaUsedBytes + bytes > ARENA_BYTES) {
    arena = newArena();
    arenaUsedBytes = 0;
  }
  const fresh = Buffer.from(arena, arenaUsedBytes, bytes);
  arenaUsedBytes += bytes;
  taken.add(fresh);
  return fresh;
}

/**
 * Gives memory of {@link takeAligned} back; the caller must not use it after that. Other memory is left to the garbage
 * collector.
 */
export function giveAligned(slice: Buffer): void {
  if (!taken.delete(slice)) return;
  const slices = free.get(slice.length);
  if (slices === undefined) free.set(slice.length, [slice]);
  else slices.push(slice);
}

function newArena(): ArrayBuffer {
  const Memory = wasmMemory();
  if (Memory === undefined)
    throw new StpError('ESTPDRIVER', 'O_DIRECT needs aligned memory, and this Node has no WebAssembly');
  const pages = ARENA_BYTES / WASM_PAGE_BYTES;
  return new Memory({ initial: pages, maximum: pages }).buffer;
}

function wasmMemory(): WasmMemoryConstructor | undefined {
  const wasm = (globalThis as { WebAssembly?: { Memory: WasmMemoryConstructor } }).WebAssembly;
  return wasm?.Memory;
}
