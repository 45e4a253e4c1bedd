/** Starts tenants (tenant.ts) and waits until they live in their region. */
import { type ChildProcess, fork } from 'node:child_process';
import path from 'node:path';
import type t from 'tap';

/** Starts one; it is killed at the end of the test, where it has not ended by then. */
export async function startTenant(
  test: Pick<typeof t, 'teardown'>,
  region: string,
  system = 'alpha',
): Promise<ChildProcess> {
  const child = fork(path.join(__dirname, 'tenant.js'), {
    env: { ...process.env, STP_REGION: region, STP_SYSTEM: system, STP_GROUP: 'STG', STP_DRIVER: 'auto' },
  });
  test.teardown(() => child.kill('SIGKILL'));
  await new Promise<void>((resolve, reject) => {
    child.once('message', () => {
      resolve();
    });
    child.once('exit', (code, signal) => {
      reject(new Error(`the tenant ended early (${signal ?? code ?? 'unknown'})`));
    });
  });
  return child;
}

/** Ends a tenant and resolves when it is gone: 'SIGKILL' at once, 'leave' in good order. */
export function endTenant(child: ChildProcess, how: 'SIGKILL' | 'leave'): Promise<void> {
  return new Promise((resolve) => {
    child.once('exit', () => {
      resolve();
    });
    if (how === 'leave') child.send('leave');
    else child.kill(how);
  });
}
