/** The command line of pm2, with a home of its own. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';

const command = createRequire(import.meta.url).resolve('pm2/bin/pm2');

/** Resolves when it has ended; rejects with what it said where that went wrong. */
export async function pm2(home, args, env = {}) {
  const child = spawn(process.execPath, [command, ...args], {
    env: { ...process.env, ...env, PM2_HOME: home, PM2_DISABLE_VERSION_CHECK: 'true' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text) => (said = (said + text).slice(-4000)));
  const [code] = await once(child, 'close');
  if (code !== 0) throw new Error(`pm2 ${args[0]}: exit code ${code}: ${said}`);
}
