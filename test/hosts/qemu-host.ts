/**
 * A host that is a kernel of its own: a virtual machine without KVM, which works on every processor. Its root is this
 * machine's tree, read-only, and it shares one directory with others.
 *
 * Orders and lines go over a virtio port of the guest, a socket outside.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import readline from 'node:readline';
import { projectRoot } from '../../scripts/project-root';
import { type Order, type Word } from './guest-agent';
import { ROOT_TAG, SCRIPT_PARAMETER } from './guest-image';
import { type Host, type HostEnd, type HostProcess } from './host';
import { startVirtiofsd, virtiofsDevice } from './virtiofsd';

export interface QemuOptions {
  readonly name: string;
  /** Where the guest's files outside are: its script, its sockets, its console's log. */
  readonly directory: string;
  /** The kernel and what it starts with. */
  readonly kernel: string;
  readonly image: string;
  /** Arguments of the emulator for the device through which it comes to the shared directory; called at each start. */
  readonly device: () => Promise<readonly string[]>;
  /**
   * Shell commands in the guest that mount the shared directory at SHARED, and the type that it then has in
   * /proc/mounts.
   */
  readonly mount: string;
  readonly mountType: string;
}

export const SHARED = '/mnt/shared';
const BOOT_MS = 120_000;
const MEMORY = '1G';

const startScript = ({ name, mount, mountType }: QemuOptions): string => `#!/bin/bash
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/run TMPDIR=/run
mkdir -p /dev/shm; for d in /run /mnt /dev/shm; do mount -t tmpfs tmpfs $d; done
# Equal host names are equal NFSv4 clients to the server, which then takes each one's state for the other's.
hostname stp-${name}
ip link set lo up; mkdir -p ${SHARED}
${mount}
exec 3<>"$(echo /dev/vport*)"
${process.execPath} ${path.join(__dirname, 'guest-agent.js')} ${SHARED} ${mountType}
echo "the agent ended: $?"
echo o >/proc/sysrq-trigger; sleep 9
`;

/** The emulated processor is a plain one: what newer ones have beside it takes more time to emulate than it saves. */
const machine = (options: QemuOptions, script: string): string[] => [
  '-accel',
  'tcg,thread=multi',
  '-cpu',
  'qemu64',
  '-smp',
  '1',
  '-M',
  'q35,memory-backend=memory',
  '-m',
  MEMORY,
  '-object',
  `memory-backend-memfd,id=memory,size=${MEMORY},share=on`,
  '-nodefaults',
  '-display',
  'none',
  '-no-reboot',
  '-serial',
  `file:${consoleLog(options)}`,
  '-kernel',
  options.kernel,
  '-initrd',
  options.image,
  '-append',
  `console=ttyS0 quiet panic=-1 mitigations=off no_timer_check ${SCRIPT_PARAMETER}=${script}`,
];

const port = (socket: string): string[] => [
  '-device',
  'virtio-serial-pci',
  '-chardev',
  `socket,id=orders,path=${socket},server=off`,
  '-device',
  'virtserialport,chardev=orders,name=stp',
];

const consoleLog = ({ directory, name }: QemuOptions): string => path.join(directory, `${name}.console`);

interface Guest extends HostProcess {
  end(end: HostEnd): void;
}

export class QemuHost implements Host {
  readonly name: string;
  readonly directory = SHARED;
  readonly #options: QemuOptions;
  #emulator: ChildProcess | null = null;
  #root: ChildProcess | null = null;
  #line: net.Socket | null = null;
  #ids = 0;
  #log: string[] = [];
  readonly #guests = new Map<number, Guest>();
  #ready: ((word: { readonly mounted: boolean }) => void) | null = null;

  constructor(options: QemuOptions) {
    this.name = options.name;
    this.#options = options;
  }

  /** Starts the kernel; resolves when its directory is mounted. */
  async boot(): Promise<void> {
    const { directory, name } = this.#options;
    const at = (what: string): string => path.join(directory, `${name}.${what}`);
    this.#log = [];
    fs.rmSync(consoleLog(this.#options), { force: true });
    fs.writeFileSync(at('script'), startScript(this.#options));
    this.#root = await startVirtiofsd({ source: '/', socket: at('root'), cache: 'always' });
    const device = await this.#options.device();
    const listener = await this.#listen(at('orders'));
    const args = [
      ...machine(this.#options, at('script')),
      ...port(at('orders')),
      ...virtiofsDevice(ROOT_TAG, at('root')),
      ...device,
    ];
    const emulator = spawn('qemu-system-x86_64', args, { stdio: ['ignore', 'ignore', 'pipe'] });
    this.#emulator = emulator;
    readline.createInterface({ input: emulator.stderr }).on('line', (line) => {
      this.#log.push(line);
    });
    try {
      const { mounted } = await this.#started(emulator);
      if (!mounted) throw new Error(`host ${name} could not mount ${SHARED}:\n${this.#told()}`);
    } finally {
      listener.close();
    }
  }

  start(args: readonly string[], env: Readonly<Record<string, string>>): HostProcess {
    this.#ids += 1;
    const id = this.#ids;
    let ended: (end: HostEnd) => void = () => undefined;
    const guest: Guest = {
      send: (line) => {
        this.#order({ send: id, line });
      },
      onLine: () => undefined,
      ended: new Promise((resolve) => {
        ended = resolve;
      }),
      signal: (name) => {
        this.#order({ signal: id, name });
      },
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
    const emulator = this.#emulator;
    if (emulator !== null && emulator.exitCode === null && emulator.signalCode === null) {
      const closed = new Promise<void>((resolve) => {
        emulator.once('exit', () => {
          resolve();
        });
      });
      emulator.kill('SIGKILL');
      await closed;
    }
    this.#root?.kill('SIGKILL');
  }

  /** The emulator connects to this end of the line. */
  async #listen(socket: string): Promise<net.Server> {
    fs.rmSync(socket, { force: true });
    const listener = net.createServer((line) => {
      this.#line = line.on('error', () => undefined);
      readline
        .createInterface({ input: line })
        .on('line', (text) => {
          this.#hear(text);
        })
        .on('error', () => undefined);
    });
    await new Promise<void>((resolve, reject) => {
      listener.once('error', reject).listen(socket, resolve);
    });
    return listener;
  }

  /** Resolves with the first word of the guest; fails where none comes. */
  async #started(emulator: ChildProcess): Promise<{ readonly mounted: boolean }> {
    const gone = new Promise<never>((_resolve, reject) => {
      const fail = (): void => {
        for (const guest of [...this.#guests.values()]) guest.end({ code: null, signal: 'SIGKILL' });
        reject(new Error(`host ${this.name} ended:\n${this.#told()}`));
      };
      emulator.once('error', fail);
      emulator.once('close', fail);
    });
    gone.catch(() => undefined);
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      const tell = (): void => {
        reject(new Error(`host ${this.name} has not booted after ${BOOT_MS / 1000} s:\n${this.#told()}`));
      };
      timer = setTimeout(tell, BOOT_MS);
    });
    const ready = new Promise<{ readonly mounted: boolean }>((resolve) => {
      this.#ready = resolve;
    });
    return Promise.race([ready, gone, late]).finally(() => {
      clearTimeout(timer);
    });
  }

  /** The last lines of the emulator and of the console. */
  #told(): string {
    const file = consoleLog(this.#options);
    const lines = fs.existsSync(file) ? fs.readFileSync(file, 'utf8').split('\n') : [];
    return [...this.#log, ...lines]
      .filter((line) => line.trim() !== '')
      .slice(-20)
      .join('\n');
  }

  #order(order: Order): void {
    this.#line?.write(`${JSON.stringify(order)}\n`);
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
