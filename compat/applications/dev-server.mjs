/** Starts a development server by its command line, and tells the address that it prints once it is ready. */
import { spawn } from 'node:child_process';
import { tell } from './kit.mjs';

const LOCAL = /Local:\s+(http:\/\/\S+)/u;
const READY = /ready in/iu;
/** What says that it is ready has more to load; who opens a browser takes longer. */
const PAUSE_MS = 2000;

export function devServer(command, root, env = {}) {
  const child = spawn(process.execPath, command, {
    cwd: root,
    env: { ...process.env, NO_COLOR: '1', ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let said = '';
  let ready = false;
  child.stdout.setEncoding('utf8').on('data', (text) => {
    said += text;
    const url = LOCAL.exec(said)?.[1];
    if (ready || url === undefined || !READY.test(said)) return;
    ready = true;
    setTimeout(() => tell({ url: new URL(url).origin, root }), PAUSE_MS);
  });
  child.once('exit', (code, signal) => {
    if (!ready) console.error(said);
    process.exitCode = code ?? 1;
    console.error(`the development server has ended: ${code ?? signal}`);
  });
  process.once('SIGTERM', () => child.kill('SIGTERM'));
}
