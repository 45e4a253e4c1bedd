/**
 * How a process of a soak talks to its supervisor: by the channel of fork, or by lines of JSON where the two are in
 * different kernels.
 */
import readline from 'node:readline';
import { type ToProcess, type ToSupervisor } from './messages';

/** Before each message among the lines of a process. */
export const MESSAGE_PREFIX = 'soak ';

export function tell(message: ToSupervisor): void {
  if (process.send === undefined) process.stdout.write(`${MESSAGE_PREFIX}${JSON.stringify(message)}\n`);
  else process.send(message);
}

/** `gone` is called when the supervisor is. */
export function listen(hear: (message: ToProcess) => void, gone: () => void): void {
  if (process.send !== undefined) {
    process.on('message', hear);
    process.on('disconnect', gone);
    return;
  }
  const input = readline.createInterface({ input: process.stdin });
  input.on('line', (line) => {
    hear(JSON.parse(line) as ToProcess);
  });
  input.on('close', gone);
}

/** Talks no more; the process may end. */
export function hangUp(): void {
  process.removeAllListeners('disconnect');
  if (process.send === undefined) process.stdin.removeAllListeners().destroy();
  else process.disconnect();
}
