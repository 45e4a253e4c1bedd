/** A port of this system in the region at which the bridge accepts connections. */
import {
  MSG_DONTWAIT,
  PF_STP,
  SOCK_STREAM,
  STP_DEATH_AS_TCP,
  STP_WATCHER,
  STPaccept,
  STPbind,
  STPclose,
  STPgethostname,
  STPgetpeername,
  STPlisten,
  STPsetopt,
  STPsocket,
} from '../index';
import { setTimeout } from '../host';
import { StpStream } from './stp-stream';

const BACKLOG = 511;
/** A socket that could not be made is tried again after this: others may have closed by then. */
const RETRY_MS = 50;

export interface StpListenerEvents {
  accepted(stream: StpStream, from: string): void;
  /** The port was lost: another process took this one for dead and has it now. */
  lost(): void;
}

export class StpListener {
  readonly port: number;
  readonly #s: number;
  readonly #events: StpListenerEvents;
  #open = true;

  /** Throws what the calls throw. */
  constructor(port: number, events: StpListenerEvents) {
    this.#events = events;
    this.#s = STPsocket(PF_STP, SOCK_STREAM, PF_STP);
    try {
      STPbind(this.#s, { port });
      STPsetopt(this.#s, STP_DEATH_AS_TCP, true);
      STPsetopt(this.#s, STP_WATCHER, {
        acceptable: () => {
          this.#accept();
        },
        reset: () => {
          if (!this.#open) return;
          this.close();
          events.lost();
        },
      });
      STPlisten(this.#s, BACKLOG);
      this.port = STPgethostname(this.#s).port;
    } catch (error) {
      STPclose(this.#s).catch(() => undefined);
      throw error;
    }
  }

  /** Takes all that wait: the library tells once that there are some. */
  #accept(): void {
    while (this.#open) {
      let s: number;
      try {
        s = STPaccept(this.#s, MSG_DONTWAIT) as number;
      } catch {
        // No socket could be made for this one, which was refused.
        setTimeout(() => {
          this.#accept();
        }, RETRY_MS);
        return;
      }
      if (s < 0) return;
      const { system, port } = STPgetpeername(s);
      this.#events.accepted(new StpStream(s), `stp://${system}:${port}`);
    }
  }

  /** What waits in the queue is refused. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    STPclose(this.#s).catch(() => undefined);
  }
}
