/** Datagrams in a stream: whole again however the stream is cut, and no memory for what is none. */
import fc from 'fast-check';
import t from 'tap';
import {
  beginsFramed,
  DATAGRAM_MAX_BYTES,
  frameOf,
  FrameReader,
  prefaceOf,
  refusalOf,
  Status,
} from '../../src/bridge/udp-frames';

const MAGIC_BYTES = 8;

/** What a reader makes of chunks; the code of the error where it refuses them. */
function read(chunks: readonly Buffer[]): { statuses: number[]; datagrams: Buffer[]; error: string | undefined } {
  const statuses: number[] = [];
  const datagrams: Buffer[] = [];
  const reader = new FrameReader({
    preface: (status) => statuses.push(status),
    datagram: (bytes) => datagrams.push(Buffer.from(bytes)),
  });
  let error: string | undefined;
  try {
    for (const chunk of chunks) reader.read(chunk);
    reader.end();
  } catch (caught) {
    error = (caught as { code: string }).code;
  }
  return { statuses, datagrams, error };
}

/** At each of these lengths in turn. */
function cut(bytes: Buffer, lengths: readonly number[]): Buffer[] {
  const chunks: Buffer[] = [];
  let rest = bytes;
  for (let at = 0; rest.length > 0; at++) {
    const length = Math.max(1, lengths[at % lengths.length] ?? 1);
    chunks.push(rest.subarray(0, length));
    rest = rest.subarray(length);
  }
  return chunks;
}

const preface = prefaceOf(Status.call);

void t.test('datagrams come out as they went in, wherever the stream is cut', (t) => {
  const datagrams = fc.array(
    fc.oneof(
      fc.uint8Array({ maxLength: 40 }),
      fc.nat(DATAGRAM_MAX_BYTES).map((length) => new Uint8Array(length)),
    ),
    { maxLength: 12 },
  );
  const lengths = fc.array(fc.oneof(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 70_000 })), {
    minLength: 1,
    maxLength: 8,
  });
  // Where it fails, it prints its seed.
  const outcome = fc.check(
    fc.property(datagrams, lengths, (wanted, at) => {
      const { datagrams: got, statuses, error } = read(cut(Buffer.concat([preface, ...wanted.map(frameOf)]), at));
      if (error !== undefined || statuses.length !== 1 || statuses[0] !== Status.call) return false;
      return got.length === wanted.length && got.every((one, index) => one.equals(wanted[index] ?? Buffer.alloc(0)));
    }),
    { numRuns: 200 },
  );
  t.notOk(outcome.failed, fc.defaultReportMessage(outcome) ?? `seed ${outcome.seed}`);
  t.end();
});

void t.test('empty datagrams and those of the greatest length are datagrams', (t) => {
  const largest = Buffer.alloc(DATAGRAM_MAX_BYTES, 7);
  const { datagrams, error } = read([preface, frameOf(Buffer.alloc(0)), frameOf(largest), frameOf(Buffer.alloc(0))]);
  t.equal(error, undefined);
  t.same(
    datagrams.map(({ length }) => length),
    [0, DATAGRAM_MAX_BYTES, 0],
  );
  t.end();
});

void t.test('what is no stream of datagrams is refused at its first wrong byte', (t) => {
  t.match(read([Buffer.from('G')]), { error: 'EPROTOTYPE', statuses: [] }, 'text, of which one byte has come');
  t.match(read([preface.subarray(0, MAGIC_BYTES - 1), Buffer.from('!')]), { error: 'EPROTOTYPE', statuses: [] });
  const newer = Buffer.from(preface);
  newer[MAGIC_BYTES] = 2;
  t.match(read([newer]), { error: 'EPROTOTYPE', statuses: [] }, 'another version');
  t.match(read([]), { error: 'EPROTOTYPE' }, 'nothing');
  t.match(read([preface.subarray(0, 4)]), { error: 'EPROTOTYPE' }, 'the end before the preface');
  t.end();
});

void t.test('frames that are too long, or cut short, are refused', (t) => {
  t.match(read([preface, Buffer.from([0xff, 0xff])]), { error: 'EINVAL', datagrams: [] }, 'longer than UDP allows');
  t.match(read([preface, Buffer.from([0xff]), Buffer.from([0xf8])]), { error: 'EINVAL' }, 'also in two pieces');
  t.match(read([preface, Buffer.from([0])]), { error: 'EINVAL' }, 'half a length');
  t.match(read([preface, frameOf(Buffer.alloc(9)).subarray(0, 8)]), { error: 'EINVAL' }, 'half a datagram');
  t.match(read([preface]), { error: undefined }, 'no datagram at all is no mistake');
  t.end();
});

void t.test('a stream of TCP is known from one of datagrams', (t) => {
  t.ok(beginsFramed(preface));
  for (const text of ['', 'GET / HTTP/1.1', 'SSH-2.0-x', '\x16\x03\x01\x02\x00\x01\x00\x01'])
    t.notOk(beginsFramed(Buffer.from(text, 'latin1')), JSON.stringify(text));
  t.end();
});

void t.test('each refusal says what is to be done', (t) => {
  t.match(refusalOf(Status.tooManyFlows), { code: 'EMFILE', message: /--max-flows/u });
  t.match(refusalOf(Status.notAllowed), { code: 'EACCES' });
  t.match(refusalOf(Status.noSuchHost), { code: 'EHOSTUNREACH' });
  t.match(refusalOf(Status.call), { code: 'EPROTOTYPE', message: /sends back/u });
  t.match(refusalOf(99), { code: 'EIO' }, 'one of a newer version');
  t.end();
});
