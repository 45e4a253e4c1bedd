import { close } from '../engine';
import { remember } from './failure';
import { runtime } from './runtime';

/**
 * Closes a descriptor. It names nothing any more when the call returns; the promise tells when all that was sent has
 * arrived in the peer's process and everything is released. Bytes received and not read reset the connection, as with
 * TCP. SO_LINGER limits the wait.
 *
 * Source: "STPclose(s)": "waits for the communication to complete", then everything it held is released.
 * @param s - a descriptor
 * @returns a promise of 0
 * @throws EBADF; rejects with ECONNRESET (the peer is gone and may not have got all), ETIMEDOUT (SO_LINGER ran out:
 * reset)
 */
export async function STPclose(s: number): Promise<number> {
  const endpoint = runtime().endpoint('STPclose', s);
  const { socket, runtime: own, linger } = endpoint;
  endpoint.abandon();
  own.forget(endpoint);
  if (close(own.engine, socket, linger.onoff ? linger.linger * 1000 : -1)) {
    endpoint.releaseHold();
    return 0;
  }
  endpoint.updateHold();
  return new Promise<number>((resolve, reject) => {
    endpoint.closing = {
      resolve,
      reject: (error) => {
        reject(remember(error));
      },
    };
  });
}
