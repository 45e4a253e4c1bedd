/**
 * Every call with every argument that it can't take: the right error, told again by STPerror and STPstrerror, and
 * nothing changed by it.
 */
import fc from 'fast-check';
import t from 'tap';
import { freshRegion } from './actor';

// The library reads its environment at the first call; what a runner or a person has set must not count.
for (const name of Object.keys(process.env)) if (name.startsWith('STP_')) Reflect.deleteProperty(process.env, name);
process.env['STP_REGION'] = freshRegion(t);
process.env['STP_SYSTEM'] = 'alpha';

import * as stp from '../../src/index';
import { shown } from '../../src/calls/check';
import { CASES, loose, sockets } from './argument-cases';
import { codeOf, Kit } from './kit';

const kit = new Kit();
const { MSG_DONTWAIT } = stp;

void t.test(
  'what a call can not take is refused with the right code, by its name, and told by STPerror and STPstrerror',
  async (t) => {
    const s = await sockets(kit);
    const wrong: string[] = [];
    const states = (): string =>
      JSON.stringify(
        Object.values(s).map((fd) => {
          try {
            return stp.STPgetopt(fd as number, stp.STP_STATE);
          } catch {
            return 'closed';
          }
        }),
      );
    const before = states();
    for (const { call, args, code, names } of CASES) {
      const values = args(s);
      const title = `${call}(${values.map((value) => shown(value)).join(', ')})`;
      let failure: unknown;
      try {
        await loose[call]?.(...values);
      } catch (error) {
        failure = error;
      }
      if (failure === undefined) {
        wrong.push(`${title}: nothing is wrong with it`);
        continue;
      }
      const { message, syscall, errno } = failure as stp.StpError;
      if (codeOf(failure) !== code) wrong.push(`${title}: ${codeOf(failure)} instead of ${code}`);
      else if (syscall !== call || !message.startsWith(`${call} ${code}: `))
        wrong.push(`${title}: "${message}" does not begin with the call and the code`);
      else if (names?.test(message) === false) wrong.push(`${title}: "${message}" does not name ${String(names)}`);
      else if (
        errno !== -stp.errnoOf(code as 'EIO') ||
        stp.STPerror() !== -errno ||
        stp.STPstrerror() !== stp.ERRORS[code as 'EIO'].text
      )
        wrong.push(`${title}: STPerror tells ${stp.STPerror()}, ${stp.STPstrerror()}`);
      else if (
        typeof values[0] === 'number' &&
        /^STP(?!socket)/u.test(call) &&
        code !== 'EBADF' &&
        values[0] >= 0 &&
        stp.STPerror(values[0]) !== -errno
      )
        wrong.push(`${title}: STPerror(s) tells ${stp.STPerror(values[0])}`);
      if (states() !== before) {
        wrong.push(`${title}: states are now ${states()}`);
        break;
      }
    }
    t.same(wrong, []);
    await kit.sendText(s.a, 'fine');
    t.equal(await kit.text(s.b, 4), 'fine', 'the connection has come through all of it');
  },
);

void t.test('STPerror and STPstrerror take anything and never fail', (t) => {
  for (const value of [-1, 0, 99, -99, 2 ** 40, NaN, undefined]) {
    t.type(stp.STPerror(value), 'number');
    t.type(stp.STPstrerror(value), 'string');
  }
  t.equal(stp.STPstrerror(0), 'no error');
  for (const code of Object.keys(stp.ERRORS) as stp.ErrorCode[]) {
    t.equal(stp.STPstrerror(stp.errnoOf(code)), stp.ERRORS[code].text);
    t.equal(stp.STPstrerror(-stp.errnoOf(code)), stp.ERRORS[code].text, 'the sign of Node is understood');
  }
  t.end();
});

void t.test('MSG_DONTWAIT throws, the waiting form rejects, and neither does both', async (t) => {
  const s = kit.socket();
  t.throws(() => stp.STPsend(s, Buffer.of(1), 1, MSG_DONTWAIT), { code: 'ENOTCONN' });
  t.throws(() => stp.STPrecv(s, Buffer.of(1), 1, MSG_DONTWAIT), { code: 'ENOTCONN' });
  t.throws(() => stp.STPaccept(s, MSG_DONTWAIT), { code: 'EINVAL' });
  for (const promise of [
    stp.STPsend(s, Buffer.of(1)),
    stp.STPrecv(s, Buffer.of(1)),
    stp.STPaccept(s),
    stp.STPconnect(s, { port: 9 }),
  ]) {
    t.type(promise, Promise);
    await t.rejects(promise);
  }
  await stp.STPclose(s);
  await t.rejects(stp.STPclose(s), { code: 'EBADF' });
});

/** Values that look like arguments, and values that look like nothing. */
const anyArgument = (fds: readonly number[]): fc.Arbitrary<unknown> =>
  fc.oneof(
    fc.constantFrom<unknown>(...fds),
    fc.constantFrom<unknown>(...Object.values(stp).filter((value) => typeof value === 'number')),
    fc.integer(),
    fc.double(),
    fc.constantFrom<unknown>(undefined, null, true, false, '', 'alpha', 0n, Symbol.iterator, -1, 0, 1, 2),
    fc.uint8Array({ maxLength: 300 }),
    fc.record(
      {
        port: fc.oneof(fc.integer({ min: -1, max: 70_000 }), fc.anything()),
        system: fc.oneof(fc.constant('alpha'), fc.anything()),
        group: fc.anything(),
        family: fc.anything(),
      },
      { requiredKeys: [] },
    ),
    fc.record({ onoff: fc.anything(), linger: fc.anything() }, { requiredKeys: [] }),
    fc.record({ process: fc.integer(), task: fc.integer(), system: fc.string() }, { requiredKeys: [] }),
    fc.anything({ withBigInt: true, withTypedArray: true, withNullPrototype: true }),
  );

const CALLS = Object.keys(stp).filter(
  (name) => name.startsWith('STP') && typeof loose[name] === 'function' && name !== 'STP_',
);

void t.test('whatever it is given, a call returns, or fails with an StpError', async (t) => {
  const seed = Number(process.env['FC_SEED'] ?? Date.now() % 1_000_000_000);
  t.comment(`seed ${seed}; FC_SEED=${seed} runs it again`);
  let s = Object.values(await sockets(kit)) as number[];
  let calls = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...CALLS),
      fc.array(anyArgument([...s, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]), { maxLength: 5 }),
      async (call, args) => {
        calls += 1;
        // Sockets are used up: now and then there are new ones.
        if (calls % 200 === 0) s = Object.values(await sockets(kit)) as number[];
        try {
          const value = loose[call]?.(...args);
          if (value instanceof Promise) {
            value.catch((error: unknown) => {
              if (!(error instanceof stp.StpError)) throw error;
            });
            // Those that wait may wait for good; a turn is enough to see what fails.
            await Promise.race([value.catch(() => undefined), new Promise((resolve) => setImmediate(resolve))]);
          }
        } catch (error) {
          if (!(error instanceof stp.StpError)) throw error;
        }
      },
    ),
    { numRuns: 4000, seed },
  );
  const [a, b] = await kit.pair();
  await kit.sendText(a, 'alive');
  t.equal(await kit.text(b, 5), 'alive', 'the library still works');
});

t.teardown(() => {
  // What the tests above left open must not keep this process alive.
  for (let s = 0; s < 16_384; s++) void kit.code(() => stp.STPsetopt(s, stp.STP_REF, false));
});
