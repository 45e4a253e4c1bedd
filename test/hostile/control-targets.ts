/** Decoders of the control files: header, process files and link headers, and of names and tokens. */
import { decodeToken, encodeToken } from '../../src/calls/token';
import {
  Binding,
  BINDINGS_PER_BLOCK,
  BindingsHead,
  BindingState,
  BLOCK_BYTES,
  FORMAT_VERSION,
  Heartbeat,
  ipBytes,
  PORT_BLOCKS_EACH_MAX,
  PORT_GROUPS,
  PROCESS_BLOCKS,
  REGION_MAGIC,
  RegionHeader,
  Scb,
} from '../../src/layout';
import { findListening, groupBytes, readBindings } from '../../src/region/binding-reader';
import { decodeHeader } from '../../src/region/header';
import { readBeat } from '../../src/region/heartbeat';
import { decodeSocket } from '../../src/region/inspect';
import { decodeIdentity, encodeIdentity, ownIdentity } from '../../src/region/process-info';
import { numberOfName } from '../../src/region/process-numbers';
import { pairOfName } from '../../src/region';
import { machine } from '../../src/region/machine';
import { type BlockReader, type ReadBlock } from '../../src/storage';
import { checkBlock, FileBlockReader, sealBlock } from '../../src/storage/block-file';
import { decodeLinkHeader, encodeLinkHeader } from '../../src/storage/link-header';
import { type Random } from '../engine/random';
import { MemoryFile } from './memory-file';
import { damaged } from './mutate';
import { type Target } from './target';

const NUMBER = 5;
const LOOPBACK = ipBytes('127.0.0.1').bytes;
const IDENTITY = { from: 1, to: 2, fromEpoch: 11, toEpoch: 12, regionId: 77 };

function headerPayload(): Uint8Array {
  const payload = new Uint8Array(RegionHeader.sizeBytes);
  RegionHeader.encode(
    {
      magic: REGION_MAGIC,
      version: FORMAT_VERSION,
      id: 77,
      createdAtMs: 1,
      socketsMax: 16_384,
      ringBytes: 1 << 20,
      framesBytes: 1 << 20,
      leaseMs: 5000,
    },
    payload,
  );
  return payload;
}

function identityPayload(): Uint8Array {
  const here = machine();
  return encodeIdentity(
    ownIdentity({
      number: NUMBER,
      epoch: 12,
      regionId: 77,
      system: 'alpha',
      group: 'STG',
      canMap: true,
      canFrame: true,
      hasLivenessFifo: true,
      bootId: here.bootId,
      machine: here,
    }),
  );
}

function bindingsPayload(): Uint8Array {
  const entries = 6;
  const payload = new Uint8Array(BindingsHead.sizeBytes + BINDINGS_PER_BLOCK * Binding.sizeBytes);
  // Some of the bits are for the ports that are looked for.
  BindingsHead.encode({ entries, blocks: 2, portGroups: new Uint8Array(PORT_GROUPS / 8).fill(3) }, payload);
  const states = Object.values(BindingState);
  for (let i = 0; i < entries; i++) {
    Binding.encode(
      {
        port: 80 + i,
        count: 1,
        state: states[i % states.length] ?? 0,
        shared: i & 1,
        backlog: i,
        family: [0, 4, 6][i % 3] ?? 0,
        ip: i % 2 === 0 ? new Uint8Array(16) : LOOPBACK,
        socket: i,
        group: 'STG',
      },
      payload,
      BindingsHead.sizeBytes + i * Binding.sizeBytes,
    );
  }
  return payload;
}

function scbPayload(): Uint8Array {
  const payload = new Uint8Array(4 * Scb.sizeBytes);
  for (let i = 0; i < 4; i++) {
    Scb.encode(
      {
        generation: 1,
        state: i + 1,
        localPort: 80,
        remotePort: 81,
        peerProcess: 2,
        peerSocket: 3,
        peerGeneration: 1,
        backlog: 5,
        localGroup: 'STG',
        remoteGroup: 'STG',
        localSystem: 'alpha',
        remoteSystem: 'beta',
        bytesReceived: 1,
        bytesSent: 2,
        receiveQueuedBytes: 0,
        sendQueuedBytes: 0,
        changedAtMs: 1,
        localFamily: 4,
        remoteFamily: 6,
        localIp: LOOPBACK,
        remoteIp: ipBytes('::1').bytes,
      },
      payload,
      i * Scb.sizeBytes,
    );
  }
  return payload;
}

/** A process file: damaged blocks with right checksums, or a damaged file. */
function processFile(random: Random, good: Buffer, payload: Uint8Array, at: number): FileBlockReader {
  if (random.chance(0.2))
    return new FileBlockReader(new MemoryFile(damaged(good.subarray(0, (at + 2) * BLOCK_BYTES), random)));
  const file = Buffer.alloc((at + 2) * BLOCK_BYTES);
  for (const index of [at, at + 1])
    sealBlock(
      file.subarray(index * BLOCK_BYTES, (index + 1) * BLOCK_BYTES),
      index,
      1,
      damaged(payload, random).subarray(0, 4064),
    );
  return new FileBlockReader(new MemoryFile(file));
}

/** A process file with a damaged payload in each block, wherever it is looked for. */
class DamagedBlocks implements BlockReader {
  readonly sizeBytes = Number.MAX_SAFE_INTEGER;
  reads = 0;
  readonly #payload: Uint8Array;
  readonly #random: Random;

  constructor(payload: Uint8Array, random: Random) {
    this.#payload = payload;
    this.#random = random;
  }

  read(): ReadBlock | undefined {
    this.reads += 1;
    return this.#random.chance(0.9)
      ? { sequence: 1, payload: damaged(this.#payload, this.#random).subarray(0, 4064) }
      : undefined;
  }

  close(): void {
    // Nothing is open.
  }
}

function goodFile(): Buffer {
  const file = Buffer.alloc(16 * BLOCK_BYTES);
  const put = (index: number, payload: Uint8Array): void => {
    sealBlock(file.subarray(index * BLOCK_BYTES, (index + 1) * BLOCK_BYTES), index, 1, payload);
  };
  const beat = new Uint8Array(Heartbeat.sizeBytes);
  Heartbeat.encode({ beat: 3, atMs: 4 }, beat);
  put(PROCESS_BLOCKS.identity, identityPayload());
  put(PROCESS_BLOCKS.heartbeat, beat);
  put(PROCESS_BLOCKS.bindings, bindingsPayload());
  return file;
}

function damagedText(text: string, random: Random): string {
  return random.chance(0.5)
    ? damaged(Buffer.from(text), random).toString('latin1')
    : damaged(Buffer.from(text), random).toString('utf8');
}

/** Each takes one input; what it throws must be the declared error. */
export function controlTargets(): Target[] {
  const header = headerPayload();
  const identity = identityPayload();
  const bindings = bindingsPayload();
  const scbs = scbPayload();
  const good = goodFile();
  const group = groupBytes('STG');
  const linkHeaders = (['ring', 'frames'] as const).map((mechanism) => encodeLinkHeader(IDENTITY, mechanism, 65_536));
  const token = encodeToken({ process: 3, epoch: 4, socket: 5, generation: 6, secret: new Uint8Array(32) });
  const page = Buffer.alloc(BLOCK_BYTES);
  return [
    {
      name: 'region header',
      errors: ['ESTPCORRUPT', 'ESTPREGION', 'ESTPVERSION'],
      run: (random) => {
        decodeHeader(damaged(header, random));
      },
    },
    {
      name: 'identity',
      errors: ['ESTPCORRUPT'],
      run: (random) => {
        decodeIdentity(damaged(identity, random), NUMBER);
      },
    },
    {
      name: 'heartbeat',
      errors: ['ESTPCORRUPT'],
      run: (random) => {
        readBeat(
          processFile(random, good, good.subarray(BLOCK_BYTES + 32, BLOCK_BYTES + 48), PROCESS_BLOCKS.heartbeat),
        );
      },
    },
    {
      name: 'bindings',
      errors: ['ESTPCORRUPT'],
      run: (random) => {
        let seen = 0;
        readBindings(processFile(random, good, bindings, PROCESS_BLOCKS.bindings), NUMBER, ({ port, count }) => {
          if (port < 1 || port + count > 65_536 || ++seen > BINDINGS_PER_BLOCK)
            throw new RangeError(`port ${port}, count ${count}`);
          return false;
        });
      },
    },
    {
      name: 'port blocks',
      errors: ['ESTPCORRUPT'],
      run: (random) => {
        const blocks = new DamagedBlocks(bindings, random);
        const first = random.below(300);
        if (random.chance(0.5)) findListening(blocks, NUMBER, { group, port: first, ip: ipBytes('') });
        else
          readBindings(blocks, NUMBER, ({ port, count }) => port < 1 || port + count > 65_536, {
            first,
            last: first + random.below(200),
          });
        if (blocks.reads > 1 + 5 * PORT_BLOCKS_EACH_MAX) throw new RangeError(`${blocks.reads} blocks were read`);
      },
    },
    {
      name: 'listeners',
      errors: ['ESTPCORRUPT'],
      run: (random) => {
        findListening(processFile(random, good, bindings, PROCESS_BLOCKS.bindings), NUMBER, {
          group,
          port: 80 + random.below(8),
          ip: ipBytes(random.pick(['', '127.0.0.1', '::1'])),
        });
      },
    },
    {
      name: 'socket control blocks',
      errors: ['ESTPCORRUPT'],
      run: (random) => {
        decodeSocket(damaged(scbs, random), random.below(4));
      },
    },
    {
      name: 'blocks',
      errors: [],
      run: (random) => {
        good.copy(page, 0, 0, BLOCK_BYTES);
        const bytes = damaged(page, random);
        if (bytes.length >= BLOCK_BYTES) checkBlock(bytes.subarray(0, BLOCK_BYTES), random.below(2));
      },
    },
    {
      name: 'link header',
      errors: ['ESTPCORRUPT'],
      run: (random) => {
        decodeLinkHeader(damaged(random.pick(linkHeaders), random), 'x');
      },
    },
    {
      name: 'names',
      errors: [],
      run: (random) => {
        pairOfName(damagedText('12-34', random));
        numberOfName(damagedText('1234', random));
      },
    },
    {
      name: 'tokens',
      errors: ['EINVAL'],
      run: (random) => {
        decodeToken('STPtakesocket', damagedText(token, random));
      },
    },
  ];
}
