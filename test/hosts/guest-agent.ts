/**
 * Runs in a guest kernel: starts programs as the test outside says, and passes their lines through.
 *
 * One JSON document a line in each direction, on descriptor 3: a virtio port of the guest.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import fs from 'node:fs';
import readline from 'node:readline';

/** From the test to the guest. */
export type Order =
  | {
      readonly start: number;
      readonly args: readonly string[];
      readonly env: Readonly<Record<string, string>>;
      readonly cwd: string;
    }
  | { readonly send: number; readonly line: string }
  | { readonly signal: number; readonly name: NodeJS.Signals };

/** From the guest to the test. */
export type Word =
  | { readonly ready: true; readonly mounted: boolean }
  | { readonly line: number; readonly text: string }
  | { readonly ended: number; readonly code: number | null; readonly signal: string | null };

const PORT = 3;
const children = new Map<number, ChildProcess>();

function say(word: Word): void {
  // The port takes a limited number of bytes at a time, and its other end reads at once.
  const bytes = Buffer.from(`${JSON.stringify(word)}\n`);
  for (let at = 0; at < bytes.length;) at += fs.writeSync(PORT, bytes, at);
}

function start(id: number, args: readonly string[], env: Readonly<Record<string, string>>, cwd: string): void {
  const child = spawn(process.execPath, args, {
    env: { ...process.env, ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
    cwd,
  });
  children.set(id, child);
  child.stdin.on('error', () => undefined);
  for (const stream of [child.stdout, child.stderr])
    readline.createInterface({ input: stream }).on('line', (text) => {
      say({ line: id, text });
    });
  const ended = (code: number | null, signal: string | null): void => {
    if (children.delete(id)) say({ ended: id, code, signal });
  };
  child.once('error', () => {
    ended(127, null);
  });
  child.once('close', ended);
}

function obey(order: Order): void {
  if ('start' in order) start(order.start, order.args, order.env, order.cwd);
  else if ('send' in order) children.get(order.send)?.stdin?.write(`${order.line}\n`);
  else children.get(order.signal)?.kill(order.name);
}

function main(): void {
  const input = readline.createInterface({ input: fs.createReadStream('', { fd: PORT }) });
  input.on('line', (line) => {
    obey(JSON.parse(line) as Order);
  });
  input.on('close', () => process.exit());
  const [, , place = '', type = ''] = process.argv;
  say({ ready: true, mounted: fs.readFileSync('/proc/mounts', 'utf8').includes(` ${place} ${type} `) });
}

if (require.main === module) main();
