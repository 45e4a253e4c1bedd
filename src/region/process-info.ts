/**
 * The identity of a process: the decoded and checked identity block of its file.
 *
 * All but `state` is written once, before others are told of the process, so that it can be kept as long as the number.
 */
import path from 'node:path';
import { threadId } from 'node:worker_threads';
import { StpError } from '../errors';
import { ProcessIdentity, ProcessState, REGION_PATHS } from '../layout';
import { type Machine } from './machine';
import { isGroupName, isSystemName, printable, systemKey } from './names';
import { dateMs } from '../host';

export type ProcessStateName = keyof typeof ProcessState;

export interface ProcessInfo {
  /** Number in the region, from 1; names one life of one process and is never used again. */
  readonly number: number;
  /** As of the last look: starting -> live -> left, never back. */
  readonly state: ProcessStateName;
  /** Random number of this life. */
  readonly epoch: number;
  readonly regionId: number;
  readonly startedAtMs: number;
  /** In its own pid namespace. */
  readonly pid: number;
  /** 0 for the main thread. */
  readonly threadId: number;
  /** 0 unknown. */
  readonly startTicks: number;
  readonly uid: number;
  readonly canMap: boolean;
  readonly canFrame: boolean;
  readonly hasLivenessFifo: boolean;
  readonly bootId: string;
  /** 0 unknown. */
  readonly pidNamespace: number;
  /** 0 unknown. Compares inside one kernel only. */
  readonly networkNamespace: number;
  readonly system: string;
  /** `system` as it is compared. */
  readonly systemKey: string;
  readonly group: string;
  /** Command line, shortened; safe to print. */
  readonly title: string;
}

/** What only the registry may do: note that a process has moved on to another state. */
export type MutableProcessInfo = { -readonly [K in keyof ProcessInfo]: ProcessInfo[K] };

const DRIVER_MAP = 1;
const DRIVER_FRAMES = 2;
const DRIVER_LIVENESS_FIFO = 4;
const DRIVER_BITS = DRIVER_MAP | DRIVER_FRAMES | DRIVER_LIVENESS_FIFO;
const BOOT_ID = /^[\x21-\x7e]{1,40}$/u;
const TITLE_BYTES = 160;
const STATE_NAMES = new Map<number, ProcessStateName>(
  Object.entries(ProcessState).map(([name, value]) => [value, name as ProcessStateName]),
);

/** Path of a process file inside the region. */
export function processPath(number: number): string {
  return `${REGION_PATHS.processes}/${number}`;
}

/** Path of a process's liveness FIFO inside the region. */
export function livenessFifoPathOf(number: number): string {
  return `${REGION_PATHS.bells}/${number}`;
}

/** This thread as a process of a region. */
export function ownIdentity(facts: {
  number: number;
  epoch: number;
  regionId: number;
  system: string;
  group: string;
  canMap: boolean;
  canFrame: boolean;
  hasLivenessFifo: boolean;
  bootId: string;
  machine: Machine;
}): MutableProcessInfo {
  const { machine, ...rest } = facts;
  return {
    ...rest,
    state: 'starting',
    startedAtMs: dateMs(),
    pid: process.pid,
    threadId,
    startTicks: machine.startTicks,
    uid: process.getuid?.() ?? 0,
    pidNamespace: machine.pidNamespace,
    networkNamespace: machine.networkNamespace,
    systemKey: systemKey(facts.system),
    title: shorten(commandLine(), TITLE_BYTES),
  };
}

/** Payload of the identity block. */
export function encodeIdentity(info: ProcessInfo): Uint8Array {
  const payload = new Uint8Array(ProcessIdentity.sizeBytes);
  ProcessIdentity.encode(
    {
      number: info.number,
      state: ProcessState[info.state],
      epoch: info.epoch,
      regionId: info.regionId,
      startedAtMs: info.startedAtMs,
      pid: info.pid,
      threadId: info.threadId,
      startTicks: info.startTicks,
      uid: info.uid,
      drivers:
        (info.canMap ? DRIVER_MAP : 0) |
        (info.canFrame ? DRIVER_FRAMES : 0) |
        (info.hasLivenessFifo ? DRIVER_LIVENESS_FIFO : 0),
      bootId: info.bootId,
      pidNamespace: info.pidNamespace,
      system: info.system,
      group: info.group,
      title: info.title,
      networkNamespace: info.networkNamespace,
    },
    payload,
  );
  return payload;
}

/** Decodes and checks the identity block of `processes/<number>`; ESTPCORRUPT names the file and the field. */
export function decodeIdentity(payload: Uint8Array, number: number): MutableProcessInfo {
  const file = processPath(number);
  const values = ProcessIdentity.decode(requireLength(payload, file));
  const state = STATE_NAMES.get(values.state);
  if (state === undefined) throw damaged(file, 'state');
  if (values.number !== number) throw damaged(file, 'number');
  if ((values.drivers & ~DRIVER_BITS) !== 0) throw damaged(file, 'drivers');
  if (!BOOT_ID.test(values.bootId)) throw damaged(file, 'bootId');
  if (!isSystemName(values.system)) throw damaged(file, 'system');
  if (!isGroupName(values.group)) throw damaged(file, 'group');
  return {
    number,
    state,
    epoch: values.epoch,
    regionId: values.regionId,
    startedAtMs: values.startedAtMs,
    pid: values.pid,
    threadId: values.threadId,
    startTicks: values.startTicks,
    uid: values.uid,
    canMap: (values.drivers & DRIVER_MAP) !== 0,
    canFrame: (values.drivers & DRIVER_FRAMES) !== 0,
    hasLivenessFifo: (values.drivers & DRIVER_LIVENESS_FIFO) !== 0,
    bootId: values.bootId,
    pidNamespace: values.pidNamespace,
    networkNamespace: values.networkNamespace,
    system: values.system,
    systemKey: systemKey(values.system),
    group: values.group,
    title: printable(values.title),
  };
}

/** The error for a block of the region whose bytes break the format. */
export function damaged(file: string, field: string): StpError {
  return new StpError('ESTPCORRUPT', `${file}: ${field} is impossible`);
}

/** A payload too short for its layout is damage of that file. */
function requireLength(payload: Uint8Array, file: string): Uint8Array {
  if (payload.length < ProcessIdentity.sizeBytes)
    throw new StpError('ESTPCORRUPT', `${file}: the identity is cut short`);
  return payload;
}

function commandLine(): string {
  return printable([path.basename(process.execPath), ...process.argv.slice(1)].join(' '));
}

/** The longest beginning of `text` that takes at most `bytes` bytes and cuts no character. */
function shorten(text: string, bytes: number): string {
  const encoded = Buffer.from(text);
  if (encoded.length <= bytes) return text;
  let end = bytes;
  while (end > 0 && ((encoded[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return encoded.toString('utf8', 0, end);
}
