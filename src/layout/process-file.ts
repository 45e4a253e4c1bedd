/**
 * The file `processes/N`: all that process N (a thread with its own call library) says about itself. Its only writer is
 * that process; others and the inspector read it, also after its death.
 *
 * A process number is never used twice in the life of a region, so that a number names one life of one process.
 */
import { BLOCK_PAYLOAD_BYTES } from './blocks';
import { defineLayout } from './define-layout';
import { IP_BYTES } from './ip-address';

/**
 * Which blocks hold what. The port blocks come after the most sockets that a process may have; what is not used is a
 * hole in the file and takes no room.
 */
export const PROCESS_BLOCKS = {
  identity: 0,
  heartbeat: 1,
  bindings: 2,
  socketsHead: 3,
  sockets: 16,
  ports: 81_920,
} as const;

export const ProcessState = { starting: 1, live: 2, left: 3 } as const;

export const ProcessIdentity = defineLayout(
  'ProcessIdentity',
  352,
  {
    number: { at: 0, kind: 'u32', writer: 'creator', doc: 'N of processes/N' },
    state: { at: 4, kind: 'u32', writer: 'owner', doc: '1 starting, 2 live, 3 left in good order' },
    epoch: { at: 8, kind: 'u64', writer: 'creator', doc: 'random number of this life' },
    regionId: { at: 16, kind: 'u64', writer: 'creator', doc: 'id of the region it opened' },
    startedAtMs: { at: 24, kind: 'u64', writer: 'creator', doc: 'when it opened the region, milliseconds since 1970' },
    pid: { at: 32, kind: 'u32', writer: 'creator', doc: 'process id in its own pid namespace' },
    threadId: { at: 36, kind: 'u32', writer: 'creator', doc: '0 for the main thread, else the worker thread id' },
    startTicks: {
      at: 40,
      kind: 'u64',
      writer: 'creator',
      doc: 'start time of the process in clock ticks since boot; tells a reused pid; 0 unknown',
    },
    uid: { at: 48, kind: 'u32', writer: 'creator', doc: 'user id' },
    drivers: {
      at: 52,
      kind: 'u32',
      writer: 'creator',
      doc: 'bit 0: can map logs, bit 1: can handle frames, bit 2: has a liveness FIFO',
    },
    bootId: {
      at: 56,
      kind: 'text',
      size: 40,
      writer: 'creator',
      doc:
        'boot id of its kernel, on a shared file system a hash of it and of the mount: ' +
        'equal ids share memory, FIFOs and a page cache',
    },
    pidNamespace: {
      at: 96,
      kind: 'u64',
      writer: 'creator',
      doc: 'inode of its pid namespace: pids compare only inside one; 0 unknown',
    },
    system: { at: 104, kind: 'text', size: 64, writer: 'creator', doc: 'system name of its addresses (STP_SYSTEM)' },
    group: { at: 168, kind: 'text', size: 16, writer: 'creator', doc: 'transport group of its addresses (STP_GROUP)' },
    title: { at: 184, kind: 'text', size: 160, writer: 'creator', doc: 'command line, shortened; for people' },
    networkNamespace: {
      at: 344,
      kind: 'u64',
      writer: 'creator',
      doc: 'inode of its network namespace: whom it reaches by TCP; 0 unknown',
    },
  },
  { doc: 'Payload of block 0 of a process file.' },
);

export const Heartbeat = defineLayout(
  'Heartbeat',
  16,
  {
    beat: {
      at: 0,
      kind: 'u64',
      writer: 'owner',
      doc: 'grows while the process lives; a reader compares it with its own clock',
    },
    atMs: { at: 8, kind: 'u64', writer: 'owner', doc: 'when it was written, milliseconds since 1970; for people' },
  },
  { doc: 'Payload of block 1 of a process file; only beaten where other hosts may watch.' },
);

/** Ports that share port blocks, and how many such groups there are. */
export const PORT_GROUP_PORTS = 64;
export const PORT_GROUPS = 1024;
/** Most port blocks of one group. Block n of group g is block `ports + n * PORT_GROUPS + g`. */
export const PORT_BLOCKS_EACH_MAX = 256;

export const BindingsHead = defineLayout(
  'BindingsHead',
  144,
  {
    entries: { at: 0, kind: 'u32', writer: 'owner', doc: 'entries in use in this block' },
    blocks: {
      at: 4,
      kind: 'u32',
      writer: 'owner',
      doc: 'port blocks of the group in use; only in the first of them, else 0',
    },
    portGroups: {
      at: 16,
      kind: 'bytes',
      size: PORT_GROUPS / 8,
      writer: 'owner',
      doc: 'one bit for each group of 64 ports that has port blocks, from the lowest; only in the bindings block',
    },
  },
  {
    doc:
      'Head of the payload of the bindings block, and of a port block; entries follow. ' +
      'Entries for which the bindings block has no room lie in a port block of the group of their (first) port.',
  },
);

export const BindingState = { free: 0, claiming: 1, bound: 2, listening: 3, range: 4, claimingRange: 5 } as const;

export const Binding = defineLayout(
  'Binding',
  48,
  {
    port: { at: 0, kind: 'u32', writer: 'owner', doc: 'the port, or the first port of a range' },
    count: { at: 4, kind: 'u16', writer: 'owner', doc: 'number of ports: 1, or the size of the range' },
    backlog: {
      at: 6,
      kind: 'u16',
      writer: 'owner',
      doc: 'of a listener: requests that may wait to be accepted; a client process counts its own',
    },
    state: {
      at: 8,
      kind: 'u8',
      writer: 'owner',
      doc: '0 free, 1 claiming, 2 bound, 3 listening, 4 range held for unbound connects, 5 claiming a range',
    },
    shared: {
      at: 9,
      kind: 'u8',
      writer: 'owner',
      doc: '1: others of the system may hold the port too, where they share it as well (SO_REUSEPORT)',
    },
    family: { at: 10, kind: 'u8', writer: 'owner', doc: 'whose port it is: 0 of every address, 4 of IPv4, 6 of IPv6' },
    socket: { at: 12, kind: 'u32', writer: 'owner', doc: 'index of the socket; 0 for a range' },
    group: { at: 16, kind: 'text', size: 16, writer: 'owner', doc: 'transport group of the port' },
    ip: {
      at: 32,
      kind: 'bytes',
      size: IP_BYTES,
      writer: 'owner',
      doc: 'the one address of that family, IPv4 in the first 4 bytes; zero: all of the family',
    },
  },
  { doc: 'One bound port or port range of a process.' },
);

export const BINDINGS_PER_BLOCK = Math.floor((BLOCK_PAYLOAD_BYTES - BindingsHead.sizeBytes) / Binding.sizeBytes);

/** States of a socket, as `stp ss` prints them. */
export const SocketState = {
  free: 0,
  open: 1,
  bound: 2,
  listening: 3,
  connecting: 4,
  established: 5,
  /** Our outgoing direction is shut down. */
  finWait: 6,
  /** The peer's direction is shut down. */
  closeWait: 7,
  /** Both directions are shut down, or the owner closed and delivery is awaited. */
  closing: 8,
  given: 9,
  taking: 10,
  reset: 11,
} as const;
export type SocketStateName = keyof typeof SocketState;

export const Scb = defineLayout(
  'Scb',
  256,
  {
    generation: {
      at: 0,
      kind: 'u32',
      writer: 'owner',
      doc: 'grows each time the slot is allocated; records for another generation are not for this socket',
    },
    state: { at: 4, kind: 'u8', writer: 'owner', doc: 'see SocketState' },
    localFamily: { at: 5, kind: 'u8', writer: 'owner', doc: 'of localIp: 0 none, 4 IPv4, 6 IPv6' },
    remoteFamily: { at: 6, kind: 'u8', writer: 'owner', doc: 'of remoteIp, as localFamily' },
    localPort: { at: 8, kind: 'u32', writer: 'owner', doc: 'own port, 0 unbound' },
    remotePort: { at: 12, kind: 'u32', writer: 'owner', doc: 'port of the peer, 0 none' },
    peerProcess: { at: 16, kind: 'u32', writer: 'owner', doc: 'process number of the peer, 0 none' },
    peerSocket: { at: 20, kind: 'u32', writer: 'owner', doc: 'socket index at the peer' },
    peerGeneration: { at: 24, kind: 'u32', writer: 'owner', doc: 'socket generation at the peer' },
    backlog: { at: 28, kind: 'u32', writer: 'owner', doc: 'longest queue of connection requests a listener takes' },
    localGroup: { at: 32, kind: 'text', size: 16, writer: 'owner', doc: 'own transport group' },
    remoteGroup: { at: 48, kind: 'text', size: 16, writer: 'owner', doc: 'transport group of the peer' },
    localSystem: { at: 64, kind: 'text', size: 64, writer: 'owner', doc: 'own system' },
    remoteSystem: { at: 128, kind: 'text', size: 64, writer: 'owner', doc: 'system of the peer' },
    bytesReceived: { at: 192, kind: 'u64', writer: 'owner', doc: 'bytes received since the connection began' },
    bytesSent: { at: 200, kind: 'u64', writer: 'owner', doc: 'bytes sent since the connection began' },
    receiveQueuedBytes: {
      at: 208,
      kind: 'u32',
      writer: 'owner',
      doc: 'received and not yet read; of a listener: requests waiting',
    },
    sendQueuedBytes: { at: 212, kind: 'u32', writer: 'owner', doc: 'accepted and not yet in the log' },
    changedAtMs: { at: 216, kind: 'u64', writer: 'owner', doc: 'last change of state, milliseconds since 1970' },
    localIp: {
      at: 224,
      kind: 'bytes',
      size: IP_BYTES,
      writer: 'owner',
      doc: 'own IP address, IPv4 in the first 4 bytes',
    },
    remoteIp: { at: 240, kind: 'bytes', size: IP_BYTES, writer: 'owner', doc: 'IP address of the peer, as localIp' },
  },
  { doc: 'Socket control block: one socket of a process.' },
);

export const SocketsHead = defineLayout(
  'SocketsHead',
  8,
  {
    blocks: {
      at: 0,
      kind: 'u32',
      writer: 'owner',
      doc: 'no block of socket control blocks past so many has been written; grows before they do',
    },
  },
  { doc: 'Payload of the sockets head: how far a reader has to look.' },
);

export const SCBS_PER_BLOCK = Math.floor(BLOCK_PAYLOAD_BYTES / Scb.sizeBytes);
