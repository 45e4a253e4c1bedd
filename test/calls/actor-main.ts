/**
 * The process of an actor (actor.ts): runs the steps that its test sends. A worker thread of it can be an actor as
 * well.
 */
import { isMainThread, parentPort } from 'node:worker_threads';
import { Kit } from './kit';

export interface Step {
  readonly id: number;
  /** Source of a function of a kit and arguments; it must refer to nothing else. */
  readonly source: string;
  readonly args: readonly unknown[];
}

export interface Outcome {
  readonly id: number;
  readonly value?: unknown;
  readonly error?: { readonly message: string; readonly code?: string };
}

type Act = (kit: Kit, ...args: readonly unknown[]) => unknown;

function compile(source: string): Act {
  // eslint-disable-next-line @typescript-eslint/no-implied-eval -- the source is a function of the test itself.
  const make = new Function(`return (${source});`) as () => Act;
  return make();
}

async function run(kit: Kit, step: Step): Promise<Outcome> {
  try {
    return { id: step.id, value: await compile(step.source)(kit, ...step.args) };
  } catch (error) {
    const { message, code, stack } = error as { message: string; code?: string; stack?: string };
    return { id: step.id, error: { message: stack ?? message, ...(code === undefined ? {} : { code }) } };
  }
}

function main(): void {
  const kit = new Kit();
  if (!isMainThread) {
    const port = parentPort;
    port?.on('message', (step: Step) => {
      void run(kit, step).then((outcome) => {
        port.postMessage(outcome);
      });
    });
    return;
  }
  process.on('message', (step: Step) => {
    void run(kit, step).then((outcome) => process.send?.(outcome));
  });
  // The test is gone: so are we.
  process.on('disconnect', () => process.exit());
  process.send?.({ id: 0 } satisfies Outcome);
}

if (require.main === module || !isMainThread) main();
