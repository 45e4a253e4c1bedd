/** Child processes of the benches. */
import { type ChildProcess } from 'node:child_process';

/** How long one measurement may take before it counts as hung, milliseconds. */
const PATIENCE_MS = 120_000;

/** Lets a child go, which then ends by itself. */
export function stopped(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) {
      resolve();
      return;
    }
    child.once('exit', () => {
      resolve();
    });
    if (child.connected) child.disconnect();
    else child.kill();
  });
}

/** The next message of a child, or an error that names it where it ends or hangs first. */
export function answerOf<T>(child: ChildProcess, what: string): Promise<T> {
  return new Promise((resolve, reject) => {
    const settle = (act: () => void): void => {
      clearTimeout(timer);
      child.off('message', onMessage);
      child.off('exit', onExit);
      act();
    };
    const onMessage = (message: unknown): void => {
      settle(() => {
        resolve(message as T);
      });
    };
    const onExit = (code: number | null, signal: string | null): void => {
      settle(() => {
        reject(new Error(`${what}: ended early (${code ?? signal ?? 'unknown'})`));
      });
    };
    const timer = setTimeout(() => {
      settle(() => {
        child.kill('SIGKILL');
        reject(new Error(`${what}: no answer within ${PATIENCE_MS / 1000} s`));
      });
    }, PATIENCE_MS);
    child.on('message', onMessage);
    child.on('exit', onExit);
  });
}
