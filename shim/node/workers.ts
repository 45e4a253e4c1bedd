/**
 * Worker threads with an environment of their own, or with code in place of a file, take part as all others do.
 *
 * @note Node 20 to 26: a thread with an environment of its own reads NODE_OPTIONS of that and of no other, so that a
 * hook that came by NODE_OPTIONS is not preloaded there. It is named in what the thread starts with, and gone before
 * the first line of the program's own.
 * @note Node 20 to 26: a thread that is given code runs it before what `--import` names has been loaded. The hook is
 * named by `--require` for it.
 */
import type { Worker, WorkerOptions } from 'node:worker_threads';
import { REGISTER_PATH } from '../register-path';

/** Marks a NODE_OPTIONS that is not the program's. */
const MARK = 'STP_NET_OWN_NODE_OPTIONS';

/** Whether the hook came by NODE_OPTIONS. */
export function cameByNodeOptions(env: NodeJS.ProcessEnv): boolean {
  return env['NODE_OPTIONS']?.includes(REGISTER_PATH) === true;
}

/** Whether the hook may have come by `--import`. */
export function mayHaveComeByImport({ env, execArgv }: Pick<NodeJS.Process, 'env' | 'execArgv'>): boolean {
  return [env['NODE_OPTIONS'] ?? '', ...execArgv].some((option) => option.includes('--import'));
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
  if (options === undefined) return options;
  return withEnvironment(withRequire(options));
}

/** `execArgv` of the program's own stays as it is. */
function withRequire(options: WorkerOptions): WorkerOptions {
  if (options.eval !== true || options.execArgv !== undefined || !mayHaveComeByImport(process)) return options;
  return { ...options, execArgv: [...process.execArgv, '--require', REGISTER_PATH] };
}

function withEnvironment(options: WorkerOptions): WorkerOptions {
  const { env }: { env?: unknown } = options;
  if (!cameByNodeOptions(process.env)) return options;
  if (typeof env !== 'object' || env === null || env === process.env || 'NODE_OPTIONS' in env) return options;
  return { ...options, env: { ...env, NODE_OPTIONS: `--require ${JSON.stringify(REGISTER_PATH)}`, [MARK]: '1' } };
}

/** In the thread: the environment is what the program gave. */
export function removeOwnOptions(env: NodeJS.ProcessEnv): void {
  if (env[MARK] === undefined) return;
  Reflect.deleteProperty(env, MARK);
  Reflect.deleteProperty(env, 'NODE_OPTIONS');
}
