import t from 'tap';
import { PROCESS_BLOCKS, SCBS_PER_BLOCK, SocketState } from '../../src/layout';
import { inspectRegion, type ScbValues, SocketTable } from '../../src/region';
import { type BlockWriter } from '../../src/storage';
import { codeOf, openRegion, optionsFor } from './kit';

function scb(over: Partial<ScbValues> = {}): ScbValues {
  return {
    generation: 1,
    state: SocketState.open,
    localPort: 0,
    remotePort: 0,
    peerProcess: 0,
    peerSocket: 0,
    peerGeneration: 0,
    backlog: 0,
    localGroup: 'STG',
    remoteGroup: '',
    localSystem: 'here',
    remoteSystem: '',
    bytesReceived: 0,
    bytesSent: 0,
    receiveQueuedBytes: 0,
    sendQueuedBytes: 0,
    changedAtMs: 7,
    localFamily: 0,
    remoteFamily: 0,
    localIp: new Uint8Array(16),
    remoteIp: new Uint8Array(16),
    ...over,
  };
}

/** A file that counts its writes and can be made to fail. */
function countingFile(): BlockWriter & { writes: number[]; fail: boolean } {
  const file = {
    writes: [] as number[],
    fail: false,
    write(index: number): void {
      if (file.fail) throw new Error('the disk is on fire');
      file.writes.push(index);
    },
    same: () => undefined,
    close(): void {
      /* nothing is open */
    },
  };
  return file;
}

void t.test('What is set is published by flush, one write per block, and read by anybody', (t) => {
  const options = optionsFor(t);
  const region = openRegion(t, options);
  for (let index = 0; index < 40; index += 1) {
    region.sockets.allocate(index);
    region.sockets.set(index, scb({ generation: index + 1, state: SocketState.established, localPort: 1000 + index }));
  }
  t.ok(region.sockets.dirty);
  t.equal(inspectRegion(options.directory).sockets.length, 0, 'not before flush');
  region.sockets.flush();
  t.notOk(region.sockets.dirty);
  const { sockets, problems } = inspectRegion(options.directory);
  t.same(problems, []);
  t.same(
    sockets.map(({ index, scb: { localPort, generation } }) => [index, localPort, generation]),
    Array.from({ length: 40 }, (_, i) => [i, 1000 + i, i + 1]),
  );
  region.sockets.free(17);
  region.sockets.flush();
  t.notOk(inspectRegion(options.directory).sockets.some(({ index }) => index === 17));
  t.equal(region.sockets.get(17).generation, 18, 'a freed slot keeps its generation');
  t.end();
});

void t.test('Counters are fetched at flush, for touched sockets only, with one write for a block', (t) => {
  const file = countingFile();
  const table = new SocketTable(file, 100);
  const asked: number[] = [];
  table.fill = (index, counters) => {
    asked.push(index);
    counters.bytesReceived = 2 ** 40 + index;
    counters.bytesSent = 3;
    counters.receiveQueuedBytes = 4;
    counters.sendQueuedBytes = 5;
  };
  for (let index = 0; index < 2 * SCBS_PER_BLOCK; index += 1) {
    table.allocate(index);
    table.set(index, scb());
  }
  table.flush();
  t.same(asked, []);
  file.writes.length = 0;
  for (let i = 0; i < 1000; i += 1) table.touch(3);
  table.touch(SCBS_PER_BLOCK - 1);
  t.ok(table.dirty);
  table.flush();
  t.same(asked, [3, SCBS_PER_BLOCK - 1]);
  t.same(file.writes, [16]);
  t.match(table.get(3), {
    bytesReceived: 2 ** 40 + 3,
    bytesSent: 3,
    receiveQueuedBytes: 4,
    sendQueuedBytes: 5,
    localSystem: 'here',
  });
  t.match(table.get(4), { bytesReceived: 0 });
  table.touch(99);
  table.flush();
  t.same(file.writes, [16], 'what was never allocated is not written');
  table.touch(3);
  table.free(3);
  table.flush();
  t.equal(asked.length, 2, 'a freed socket is not asked');
  t.end();
});

void t.test(
  'Room is reserved when a socket begins: its failure shows there, and what fails later stays to be written',
  (t) => {
    const file = countingFile();
    const table = new SocketTable(file, 1000);
    file.fail = true;
    t.throws(() => {
      table.allocate(0);
    }, /on fire/u);
    t.equal(
      codeOf(() => {
        table.set(0, scb());
      }),
      'EINVAL',
      'it is not allocated',
    );
    file.fail = false;
    table.allocate(0);
    table.allocate(1);
    table.allocate(0);
    t.same(file.writes, [PROCESS_BLOCKS.socketsHead, 16], 'once for a block, and the head that tells of it');
    table.set(0, scb());
    file.fail = true;
    t.throws(() => {
      table.flush();
    }, /on fire/u);
    t.ok(table.dirty);
    file.fail = false;
    table.flush();
    t.same(file.writes, [PROCESS_BLOCKS.socketsHead, 16, 16]);
    t.end();
  },
);

void t.test('Indexes out of range and values that do not fit are refused', (t) => {
  const table = new SocketTable(countingFile(), 20);
  t.equal(
    codeOf(() => {
      table.allocate(20);
    }),
    'EMFILE',
  );
  for (const index of [-1, 1.5, Number.NaN]) {
    t.equal(
      codeOf(() => {
        table.allocate(index);
      }),
      'EINVAL',
    );
    t.equal(
      codeOf(() => {
        table.set(index, scb());
      }),
      'EINVAL',
    );
    t.equal(
      codeOf(() => {
        table.free(index);
      }),
      'EINVAL',
    );
  }
  table.allocate(5);
  table.set(5, scb({ localPort: 80 }));
  t.equal(
    codeOf(() => {
      table.set(5, scb({ localPort: 81, localGroup: 'x'.repeat(17) }));
    }),
    'EINVAL',
  );
  t.equal(table.get(5).localPort, 80, 'the old values stand');
  t.end();
});
