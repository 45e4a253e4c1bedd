/**
 * Programs as people write them see over STP what they see over TCP, however the hook came, by both drivers and under
 * `auto`.
 */
import path from 'node:path';
import t from 'tap';
import { projectRoot } from '../../scripts/project-root';
import { node, REGISTER, scratch } from './kit';

const PROGRAMS = path.join(projectRoot(), 'test', 'shim', 'programs');

const OPTIONS = `--require ${JSON.stringify(REGISTER)}`;

const WAYS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'over STP alone': { STP_NET: 'stp' },
  'over STP alone, with plain file I/O': { STP_NET: 'stp', STP_DRIVER: 'direct' },
  'with auto': { STP_NET: 'auto' },
};

/** What each prints over TCP, which is tried as well. */
const EXPECTED: Readonly<Record<string, unknown>> = {
  'address-ports': ['127.0.0.1 for 127.0.0.1', '127.0.0.2 for 127.0.0.2', '::1 for ::1', 'ECONNREFUSED'],
  'busy-server': [true, 'got q'],
  deaths: ['end', 'end', 'ECONNRESET', 'ECONNRESET'],
  'in-turn': ['both connected', 0],
  'onread-await': [32, 32_768],
  overrides: ['_destroy', '_final', '_read', '_write', '_writeGeneric', 'push', 'setNoDelay'],
  'replaced-globals': ['hi'],
  'sync-child': ['open'],
  'thread-environment': ['hi', ['ONLY']],
};

for (const [name, expected] of Object.entries(EXPECTED)) {
  void t.test(name, async (t) => {
    const program = path.join(PROGRAMS, `${name}.cjs`);
    const native = await node([program], {});
    t.same(native.stdout.trim(), JSON.stringify(expected), `over TCP ${native.stderr}`);
    for (const [way, env] of Object.entries(WAYS)) {
      const place = scratch();
      const { stdout, stderr } = await node([program], { ...env, STP_REGION: place.region, NODE_OPTIONS: OPTIONS });
      place.remove();
      t.same(stdout.trim(), JSON.stringify(expected), `${way} ${stderr}`);
    }
  });
}
