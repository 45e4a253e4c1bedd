import { threadId } from 'node:worker_threads';
import { runtime } from './runtime';
import { type StpClientId } from './types';

/**
 * Names this process (thread) to programs that want to give it a socket: see STPgivesocket. Does not wait.
 *
 * Source: the client id of "STPgivesocket", as z/OS getclientid.
 */
export function STPgetclientid(): StpClientId {
  const { self } = runtime().region;
  return { system: self.system, process: self.number, task: threadId };
}
