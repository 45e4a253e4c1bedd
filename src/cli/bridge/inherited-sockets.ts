/**
 * Sockets that the starter of the bridge has opened and hands over, as systemd does (sd_listen_fds(3)): LISTEN_FDS of
 * them from descriptor 3 on. A forward that listens where one of them does takes it.
 */
import { type Forward, shownTcp, type TcpAddress } from '../../bridge';
import { CliFailure, ExitCode } from '../failure';
import { inodeOf, listeningSockets } from './listening-sockets';

const FIRST_FD = 3;
const FDS_MAX = 1000;
const ALL_ADDRESSES: readonly string[] = ['0.0.0.0', '::'];

interface InheritedSocket {
  readonly fd: number;
  readonly address: TcpAddress;
}

export class InheritedSockets {
  readonly #free: InheritedSocket[];

  private constructor(sockets: readonly InheritedSocket[]) {
    this.#free = [...sockets];
  }

  /** Those of this process. Throws for one that is of no use, and where the environment is wrong. */
  static of(env: NodeJS.ProcessEnv): InheritedSockets {
    const { LISTEN_FDS: text, LISTEN_PID: pid } = env;
    // They are not for the programs that we start.
    for (const name of ['LISTEN_FDS', 'LISTEN_PID', 'LISTEN_FDNAMES']) Reflect.deleteProperty(env, name);
    if (text === undefined || pid !== String(process.pid)) return new InheritedSockets([]);
    const count = /^\d{1,4}$/u.test(text) ? Number(text) : FDS_MAX + 1;
    if (count > FDS_MAX)
      throw new CliFailure(`LISTEN_FDS ${text}: must be a whole number up to ${FDS_MAX}`, ExitCode.usage);
    const listening = listeningSockets();
    return new InheritedSockets(
      Array.from({ length: count }, (_, at) => {
        const fd = FIRST_FD + at;
        const inode = inodeOf(fd);
        const found = listening.find((socket) => socket.inode === inode);
        if (inode === undefined || found === undefined)
          throw new CliFailure(
            `LISTEN_FDS: descriptor ${fd} is no TCP or Unix socket that listens`,
            ExitCode.usage,
            'A socket unit for the bridge has ListenStream= and Accept=no.',
          );
        return { fd, address: found.address };
      }),
    );
  }

  /** The socket of a forward, which no other one gets then. */
  take(forward: Forward): number | undefined {
    if (!('listen' in forward) || forward.kind === 'local-udp') return undefined;
    const { listen } = forward;
    const at = this.#free.findIndex(({ address }) => isFor(address, listen));
    return at < 0 ? undefined : this.#free.splice(at, 1)[0]?.fd;
  }

  /** Throws where there is one that no forward has taken. */
  checkAllTaken(): void {
    const [left] = this.#free;
    if (left === undefined) return;
    const address = shownTcp(left.address);
    throw new CliFailure(
      `the inherited socket ${left.fd} listens at ${address}, and no forward does`,
      ExitCode.usage,
      `Name one: stp bridge -L ${address}:db:5432, or -D or -H ${address}`,
    );
  }
}

function isFor(address: TcpAddress, wanted: TcpAddress): boolean {
  if ('path' in address) return 'path' in wanted && address.path === wanted.path;
  if ('path' in wanted || address.port !== wanted.port) return false;
  const isAll = ALL_ADDRESSES.includes(wanted.host) && ALL_ADDRESSES.includes(address.host);
  return isAll || address.host === wanted.host;
}
