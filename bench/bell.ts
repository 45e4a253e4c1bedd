/**
 * The second process of the floor of waking (floor.ts): it rings back whenever it is rung.
 *
 * usage (forked): bell.js THERE BACK   two FIFOs. Tells its parent { there, back } when it listens. Both processes use
 * Node alone: what the library makes of FIFOs is no part of a floor.
 */
import fs from 'node:fs';
import net from 'node:net';

/** FIFOs: which one to ring, and which one is rung in answer. */
export interface BellTargets {
  readonly there: string;
  readonly back: string;
}

const BUFFER_BYTES = 64;
const ONE = Buffer.of(1);

/** Both ways, so that neither process has to come first. */
function open(fifo: string): number {
  return fs.openSync(fifo, fs.constants.O_RDWR | fs.constants.O_NONBLOCK);
}

/** Calls `rung` whenever the FIFO is, until the socket is destroyed. */
export function listenTo(fifo: string, rung: () => void): net.Socket {
  const callback = (): boolean => {
    rung();
    return true;
  };
  // @types/node keeps `onread` to connect(), Node takes it here as well.
  const options: net.SocketConstructorOpts & { onread: net.OnReadOpts } = {
    fd: open(fifo),
    readable: true,
    writable: false,
    onread: { buffer: Buffer.alloc(BUFFER_BYTES), callback },
  };
  return new net.Socket(options).resume();
}

/** What rings one FIFO. */
export class Ringer {
  readonly #fd: number;

  constructor(fifo: string) {
    this.#fd = open(fifo);
  }

  ring(): void {
    fs.writeSync(this.#fd, ONE);
  }

  close(): void {
    fs.closeSync(this.#fd);
  }
}

function main(): void {
  const [there = '', back = ''] = process.argv.slice(2);
  const ringer = new Ringer(back);
  listenTo(there, () => {
    ringer.ring();
  });
  process.send?.({ there, back } satisfies BellTargets);
  process.once('disconnect', () => process.exit());
}

if (require.main === module) main();
