/**
 * A host that is a kernel of its own: User-Mode Linux, whose root is the machine's, read-only, and which shares one NFS directory with others.
 *
 * Orders and lines go over the guest's serial line, two pipes outside. Its network reaches the file server and nobody else.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import readline from 'node:readline';
import { type Readable, type Writable } from 'node:stream';
import { projectRoot } from '../../scripts/project-root';
import { type Host, type HostEnd, type HostProcess } from './host';
import { type Order, type Word } from './uml-agent';

export interface UmlOptions {
  readonly name: string;
  /** Where the guest's files outside are: its script, its control directory. */
  readonly directory: string;
  /** The network interface that it gets, and its address there. */
  readonly interface: string;
  readonly address: string;
  readonly serverAddress: string;
  /** A directory under which `lib/modules` is the guest kernel's. */
  readonly modules: string;
}

export const SHARED = '/mnt/nfs';
const BOOT_MS = 60_000;
const MEMORY = '1G';
/** User-Mode Linux now and then does not tell its reader of a line, until another comes: empty ones follow each order, so far apart and so many. */
const NUDGE_MS = 500;
const NUDGES = 6;

const initScript = ({ name, address, serverAddress, modules }: UmlOptions): string => `#!/bin/bash
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/run TMPDIR=/run
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t tmpfs tmpfs /run; mount -t tmpfs tmpfs /mnt; mount -t tmpfs tmpfs /dev/shm 2>/dev/null
# Equal host names are equal NFSv4 clients to the server, which then takes each one's state for the other's.
hostname stp-${name}
ip link set lo up; ip addr add ${address}/24 dev vec0; ip link set vec0 up
modprobe -d ${modules} nfsv4; mkdir -p ${SHARED}
mount -i -t nfs4 -o vers=4.1,addr=${serverAddress},clientaddr=${address},hard ${serverAddress}:/x ${SHARED}
stty -F /dev/ttyS0 raw -echo
exec 3</dev/ttyS0 4>/dev/ttyS0
${process.execPath} ${path.join(__dirname, 'uml-agent.js')} ${SHARED} 2>&1
echo "the agent ended: $?"
echo o >/proc/sysrq-trigger; sleep 9
`;

interface Guest extends HostProcess {
  end(end: HostEnd): void;
}

export class UmlHost implements Host {
  readonly name: string;
  readonly directory = SHARED;
  readonly #options: UmlOptions;
  #kernel: ChildProcess | null = null;
  #orders: Writable | null = null;
  #ids = 0;
  #nudges = 0;
  #nudger: NodeJS.Timeout | null = null;
  #log: string[] = [];
  readonly #guests = new Map<number, Guest>();
  #ready: ((word: { readonly mounted: boolean }) => void) | null = null;

  constructor(options: UmlOptions) {
    this.name = options.name;
    this.#options = options;
  }

  /** Starts the kernel; resolves when its directory is mounted. */
  async boot(): Promise<void> {
    const { directory, name } = this.#options;
    const script = path.join(directory, `init-${name}.sh`);
    fs.writeFileSync(script, initScript(this.#options), { mode: 0o755 });
    const control = path.join(directory, `control-${name}`);
    fs.rmSync(control, { recursive: true, force: true });
    fs.mkdirSync(control);
    const parameters = [
      `mem=${MEMORY}`, 'rootfstype=hostfs', 'rootflags=/', 'ro', `init=${script}`, 'quiet', 'con=null', 'con0=null,fd:1', 'ssl=null', 'ssl0=fd:3,fd:4',
      `uml_dir=${control}`, `umid=${name}`, `vec0:transport=raw,ifname=${this.#options.interface},depth=64`,
    ];
    // The guest's memory is a file in TMPDIR.
    const kernel = spawn('linux.uml', parameters, { stdio: ['ignore', 'pipe', 'pipe', 'pipe', 'pipe'], env: { ...process.env, TMPDIR: '/dev/shm' } });
    this.#kernel = kernel;
    this.#log = [];
    this.#orders = kernel.stdio[3] as Writable;
    this.#orders.on('error', () => undefined);
    for (const stream of [kernel.stdout, kernel.stderr]) if (stream !== null) readline.createInterface({ input: stream }).on('line', (line) => { this.#log.push(line); });
    readline.createInterface({ input: kernel.stdio[4] as Readable }).on('line', (line) => { this.#hear(line); });
    const gone = new Promise<never>((_resolve, reject) => {
      const fail = (): void => {
        for (const guest of [...this.#guests.values()]) guest.end({ code: null, signal: 'SIGKILL' });
        reject(new Error(`the kernel of host ${name} ended:\n${this.#log.slice(-20).join('\n')}`));
      };
      kernel.once('error', fail);
      kernel.once('close', fail);
    });
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => { reject(new Error(`host ${name} has not booted after ${BOOT_MS / 1000} s:\n${this.#log.slice(-20).join('\n')}`)); }, BOOT_MS);
    });
    gone.catch(() => undefined);
    const ready = new Promise<{ readonly mounted: boolean }>((resolve) => { this.#ready = resolve; });
    const { mounted } = await Promise.race([ready, gone, late]).finally(() => { clearTimeout(timer); });
    if (!mounted) throw new Error(`host ${name} could not mount ${SHARED}:\n${this.#log.slice(-20).join('\n')}`);
  }

  start(args: readonly string[], env: Readonly<Record<string, string>>): HostProcess {
    this.#ids += 1;
    const id = this.#ids;
    let ended: (end: HostEnd) => void = () => undefined;
    const guest: Guest = {
      send: (line) => { this.#order({ send: id, line }); },
      onLine: () => undefined,
      ended: new Promise((resolve) => { ended = resolve; }),
      signal: (name) => { this.#order({ signal: id, name }); },
      end: (end) => {
        if (this.#guests.delete(id)) ended(end);
      },
    };
    this.#guests.set(id, guest);
    this.#order({ start: id, args, env, cwd: projectRoot() });
    return guest;
  }

  /** Ends the whole kernel at once, as a power failure does. */
  async crash(): Promise<void> {
    const kernel = this.#kernel;
    if (kernel === null || kernel.exitCode !== null || kernel.signalCode !== null) return;
    const closed = new Promise<void>((resolve) => { kernel.once('exit', () => { resolve(); }); });
    kernel.kill('SIGKILL');
    await closed;
  }

  #order(order: Order): void {
    this.#orders?.write(`${JSON.stringify(order)}\n`);
    this.#nudges = NUDGES;
    this.#nudger ??= setInterval(() => { this.#nudge(); }, NUDGE_MS).unref();
  }

  #nudge(): void {
    if (this.#nudges-- > 0 && this.#orders?.writable === true) {
      this.#orders.write('\n');
      return;
    }
    if (this.#nudger !== null) clearInterval(this.#nudger);
    this.#nudger = null;
  }

  #hear(line: string): void {
    let word: Word;
    try {
      word = JSON.parse(line) as Word;
    } catch {
      this.#log.push(line);
      return;
    }
    if ('ready' in word) this.#ready?.(word);
    else if ('line' in word) this.#guests.get(word.line)?.onLine(word.text);
    else this.#guests.get(word.ended)?.end({ code: word.code, signal: word.signal });
  }
}
