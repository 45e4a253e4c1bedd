/** Where the processes of a soak run, and how they are talked to. */
import { fork } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { Region } from '../../src/region';
import { type ToProcess, type ToSupervisor } from './messages';

export interface SoakEnd {
  readonly code: number | null;
  readonly signal: string | null;
}

export interface SoakChild {
  onMessage: (message: ToSupervisor) => void;
  readonly ended: Promise<SoakEnd>;
  send(message: ToProcess): void;
  /** As kill -9. */
  kill(): void;
}

/** How much goes on at once. */
export interface SoakLoad {
  readonly processes: number;
  /** Connections that each process has opened at once. */
  readonly connections: number;
  /** Most bytes that one of them carries each way. */
  readonly bytesMax: number;
}

export const FULL_LOAD: SoakLoad = { processes: 8, connections: 4, bytesMax: 1_500_000 };

export interface SoakPlace {
  readonly load: SoakLoad;
  /** The region's directory as this process sees it. */
  readonly region: string;
  /** How long a death may go unnoticed where it can't be seen at once, milliseconds. */
  readonly leaseMs: number;
  /** By how much the clocks of the processes may differ, milliseconds. */
  readonly clockMs: number;
  /**
   * Makes all processes' files old: one without an identity stays until then, as its owner may be just opening the
   * region.
   */
  makeOld(): Promise<void>;
  /** Somebody comes on each host and leaves again: clears up after the dead. Resolves with their numbers. */
  visit(): Promise<readonly number[]>;
  start(
    slot: number,
    args: readonly string[],
    execArgv: readonly string[],
    env: Readonly<Record<string, string>>,
  ): SoakChild;
}

export const SOAK_PROCESS = path.join(__dirname, 'soak-process.js');

/** Sets the times of all files in a directory back. */
export function makeOld(directory: string): void {
  for (const name of fs.readdirSync(directory)) fs.utimesSync(path.join(directory, name), new Date(0), new Date(0));
}

/** All of them on this host. */
export function oneHost(region: string): SoakPlace {
  return {
    load: FULL_LOAD,
    region,
    leaseMs: 0,
    clockMs: 1,
    makeOld: () => {
      makeOld(path.join(region, 'processes'));
      return Promise.resolve();
    },
    visit: () => {
      const visitor = Region.open({ directory: region, system: 'soak', group: 'STG', driver: 'auto' });
      visitor.close();
      return Promise.resolve([visitor.self.number]);
    },
    start: (_slot, args, execArgv, env) => {
      const child = fork(SOAK_PROCESS, args, {
        env: { ...process.env, STP_REGION: region, ...env },
        execArgv: [...execArgv],
      });
      child.on('error', () => undefined);
      const started: SoakChild = {
        onMessage: () => undefined,
        ended: new Promise((resolve) => {
          child.once('exit', (code, signal) => {
            resolve({ code, signal });
          });
        }),
        send: (message) => {
          if (child.connected) child.send(message, () => undefined);
        },
        kill: () => {
          child.kill('SIGKILL');
        },
      };
      child.on('message', (message: ToSupervisor) => {
        started.onMessage(message);
      });
      return started;
    },
  };
}
