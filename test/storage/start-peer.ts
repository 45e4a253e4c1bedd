/** Starts peer.js and minds it: it dies with its test, and a watchdog ends what hangs. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { type PeerOptions } from './peer';

const WATCHDOG_MS = 60_000;

export interface Peer {
  readonly child: ChildProcess;
  /** What it printed, once it ended by itself; rejects where it failed. */
  readonly result: Promise<unknown>;
  /** The first line that it prints. */
  readonly line: Promise<string>;
  kill(): Promise<void>;
}

export function startPeer(role: string, options: PeerOptions): Peer {
  const child = spawn(process.execPath, [path.join(__dirname, 'peer.js'), role, JSON.stringify(options)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const watchdog = setTimeout(() => child.kill('SIGKILL'), WATCHDOG_MS);
  const ended = once(child, 'close');
  let output = '';
  const line = new Promise<string>((resolve) => {
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      if (output.includes('\n')) resolve(output.split('\n', 1)[0] ?? '');
    });
  });
  const result = ended.then(([code, signal]: unknown[]) => {
    clearTimeout(watchdog);
    if (code !== 0) throw new Error(`peer ${role} ended with ${String(code ?? signal)}`);
    return JSON.parse(output) as unknown;
  });
  // Those who kill their peer don't look at its result.
  result.catch(() => undefined);
  return {
    child,
    result,
    line,
    async kill(): Promise<void> {
      child.kill('SIGKILL');
      await ended;
    },
  };
}
