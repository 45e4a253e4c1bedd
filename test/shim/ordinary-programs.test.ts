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
  'busy-server': [
    [true, 'got first', true],
    [true, 'got second', true],
  ],
  'close-phase': ['close', 'timer'],
  deaths: ['end', 'end', 'ECONNRESET', 'ECONNRESET'],
  'in-turn': ['both connected', 0],
  'onread-await': [32, 32_768],
  overrides: ['_destroy', '_final', '_read', '_write', '_writeGeneric', 'push', 'setNoDelay'],
  'region-removed': ['held', 'begun', 'all bytes', 'hi', 'hi', 'hi', 'hi', 'ended', 'ECONNREFUSED'],
  'replaced-globals': ['hi'],
  stdio: [null, null, null, true, ',error,in,out', 0, 'enough\nand more', 'ENOENT'],
  'sync-child': ['open'],
  'thread-environment': ['hi', ['ONLY']],
  'worker-listeners': ['worker', 'ECONNREFUSED', 'worker'],
};

/** The last line of a program, in each way. */
async function inEachWay(
  name: string,
  look: (way: string, line: string, stderr: string) => void,
  modes = ['stp', 'auto'],
): Promise<void> {
  for (const [way, env] of Object.entries(WAYS)) {
    if (!modes.includes(env['STP_NET'] ?? '')) continue;
    const place = scratch();
    const program = path.join(PROGRAMS, `${name}.cjs`);
    const { stdout, stderr } = await node([program], { ...env, STP_REGION: place.region, NODE_OPTIONS: OPTIONS });
    place.remove();
    look(way, stdout.trim(), stderr);
  }
}

for (const [name, expected] of Object.entries(EXPECTED)) {
  void t.test(name, async (t) => {
    const native = await node([path.join(PROGRAMS, `${name}.cjs`)], {});
    t.same(native.stdout.trim(), JSON.stringify(expected), `over TCP ${native.stderr}`);
    await inEachWay(name, (way, line, stderr) => t.same(line, JSON.stringify(expected), `${way} ${stderr}`));
  });
}

// Over TCP the reset of a connection that stood for a moment can come as the failure of the connect itself.
// Programs that connect again look for ECONNREFUSED, so STP always tells that.
void t.test('a connect that meets the end of its server is refused', async (t) => {
  await inEachWay('server-returns', (way, line, stderr) => t.same(line, '["ECONNREFUSED"]', `${way} ${stderr}`), [
    'stp',
  ]);
});
