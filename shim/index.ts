/**
 * `stp-net`: a drop-in for `node:net`. Importing it installs the hook, as `stp-net/register` does, and gives everything
 * that `node:net` of the running Node exports (the same functions and classes) and `stpTake`.
 */
import net from 'node:net';
import { type StpClientId as ClientId } from '../src/index';
import { install } from './hook';
import { type StpNote as Note } from './reasons';

declare module 'net' {
  /**
   * Of `stp-net` only: takes a connection that another process gave with `socket.stpGive()`. The socket emits
   * 'connect', or 'error'.
   */
  function stpTake(token: string, options?: SocketConstructorOpts): stpNet.StpSocket;
}

// eslint-disable-next-line @typescript-eslint/no-namespace -- the only way to export types beside `export =`
declare namespace stpNet {
  /** How a socket or a server goes, and why. */
  type StpNote = Note;
  type StpClientId = ClientId;

  /** A socket that goes by STP. */
  interface StpSocket extends net.Socket {
    readonly stp: StpNote;
    /**
     * Hands the connection to another process: resolves with the token that its `stpTake` takes. `clientId` says which
     * process may take it (STPgetclientid of the taker), by default any that has the token. The socket closes when it
     * has been taken; it emits 'stpBack' and goes on where the taker died before it had it.
     */
    stpGive(clientId?: ClientId | null): Promise<string>;
  }
}

const hook = install();
const stpNet = Object.defineProperties(
  {},
  {
    ...Object.getOwnPropertyDescriptors(net),
    stpTake: {
      value: function stpTake(token: string, options?: net.SocketConstructorOpts): net.Socket {
        return hook.take(token, options);
      },
      enumerable: true,
      configurable: true,
      writable: true,
    },
  },
) as typeof net;

export = stpNet;
