/**
 * A host of a test: a place where programs run that shares a directory, and nothing else, with the other host.
 */
import { spawn } from 'node:child_process';
import path from 'node:path';
import readline from 'node:readline';
import { projectRoot } from '../../scripts/project-root';
import { registerPath } from '../../src/cli/run';
import { type SoakLoad } from '../soak/place';

export interface HostEnd {
  readonly code: number | null;
  readonly signal: string | null;
}

/** A program that runs on a host. */
export interface HostProcess {
  /** Writes one line to its standard input. */
  send(line: string): void;
  /** Called for each line of its standard output, and of standard error. */
  onLine: (line: string) => void;
  /** Resolves when it is gone, with all its lines delivered. */
  readonly ended: Promise<HostEnd>;
  signal(name: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT' | 'SIGTERM'): void;
}

export interface Host {
  readonly name: string;
  /** Where the shared directory is seen from this host. */
  readonly directory: string;
  /** Starts `node ...args`; `env` is added to a clean environment. */
  start(args: readonly string[], env: Readonly<Record<string, string>>): HostProcess;
  /** Where the host is a kernel of its own: ends it at once, as a power failure does, and starts it again. */
  crash?(): Promise<void>;
  boot?(): Promise<void>;
}

/** Two hosts and the file server between them. */
export interface Stand {
  readonly title: string;
  readonly hosts: readonly [Host, Host];
  /** The shared directory as the machine of the test sees it. */
  readonly directory: string;
  /** False where its clients keep no pages of files: buffered reads then see what the other host writes. */
  readonly pageCache: boolean;
  /** Of the regions in it, milliseconds: as by default, more where a host may get no processor for that long. */
  readonly leaseMs: number;
  /**
   * True where each call of a process waits in its kernel while the file server stands still. Both ends then stand
   * still with it, and which of them sees that the other was silent depends on which is first to go on.
   */
  readonly waitsInKernel: boolean;
  /** By how much the clocks of the hosts may differ, milliseconds. */
  readonly clockMs: number;
  /** What a soak between them bears. */
  readonly soakLoad: SoakLoad;
  /** Stops the file server where it stands, and lets it go on. */
  stopServer(): void;
  continueServer(): void;
  close(): Promise<void>;
}

/** The environment of programs without what a person may have put in it for Node and for us. */
export function cleanEnvironment(): Record<string, string> {
  const clean: Record<string, string> = {};
  for (const [name, value] of Object.entries(process.env)) {
    if (value !== undefined && !/^(NODE_|STP_|TAP|npm_)/u.test(name)) clean[name] = value;
  }
  return clean;
}

/** A host that is a view of the shared directory with a page cache of its own; its programs run here. */
export class LocalHost implements Host {
  constructor(
    readonly name: string,
    readonly directory: string,
  ) {}

  start(args: readonly string[], env: Readonly<Record<string, string>>): HostProcess {
    const child = spawn(process.execPath, args, {
      env: { ...cleanEnvironment(), ...env },
      stdio: ['pipe', 'pipe', 'pipe'],
      cwd: projectRoot(),
    });
    const ended = new Promise<HostEnd>((resolve) => {
      child.once('error', () => {
        resolve({ code: 127, signal: null });
      });
      child.once('close', (code, signal) => {
        resolve({ code, signal });
      });
    });
    // A program that died takes no more lines; its end tells of it.
    child.stdin.on('error', () => undefined);
    const started: HostProcess = {
      send: (line) => {
        child.stdin.write(`${line}\n`);
      },
      onLine: () => undefined,
      ended,
      signal: (name) => {
        child.kill(name);
      },
    };
    for (const stream of [child.stdout, child.stderr])
      readline.createInterface({ input: stream }).on('line', (line) => {
        started.onLine(line);
      });
    return started;
  }
}

/** Arguments that start a program of examples/ with the hook, as a user would. */
export function hooked(...program: string[]): string[] {
  return ['--require', registerPath(), path.join(projectRoot(), 'examples', program[0] ?? ''), ...program.slice(1)];
}
