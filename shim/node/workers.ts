/**
 * Worker threads with an environment of their own take part as all others do.
 *
 * @note Node 20 to 26: such a thread reads NODE_OPTIONS of that environment and of no other, so that a hook that came
 * by NODE_OPTIONS is not preloaded there. It is named in what the thread starts with, and gone before the first line of
 * the program's own.
 */
import type { Worker, WorkerOptions } from 'node:worker_threads';
import { REGISTER_PATH } from '../register-path';

/** Marks a NODE_OPTIONS that is not the program's. */
const MARK = 'STP_NET_OWN_NODE_OPTIONS';

/** Whether the hook came by NODE_OPTIONS. */
export function cameByNodeOptions(env: NodeJS.ProcessEnv): boolean {
  return env['NODE_OPTIONS']?.includes(REGISTER_PATH) === true;
}

/** In place of the class; `new`, `extends` and `instanceof` see the class itself. */
export function workerClass(native: typeof Worker): typeof Worker {
  const proxy: typeof Worker = new Proxy(native, {
    construct(target, [file, options]: [unknown, WorkerOptions | undefined], newTarget) {
      return Reflect.construct(target, [file, withHook(options)], newTarget === proxy ? target : newTarget) as object;
    },
  });
  return proxy;
}

function withHook(options: WorkerOptions | undefined): WorkerOptions | undefined {
  const env: unknown = options?.env;
  if (options === undefined || typeof env !== 'object' || env === null || env === process.env || 'NODE_OPTIONS' in env)
    return options;
  return { ...options, env: { ...env, NODE_OPTIONS: `--require ${JSON.stringify(REGISTER_PATH)}`, [MARK]: '1' } };
}

/** In the thread: the environment is what the program gave. */
export function removeOwnOptions(env: NodeJS.ProcessEnv): void {
  if (env[MARK] === undefined) return;
  Reflect.deleteProperty(env, MARK);
  Reflect.deleteProperty(env, 'NODE_OPTIONS');
}
