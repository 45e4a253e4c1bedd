/**
 * Runs one application in each of its settings, one after the other, and prints an outcome per line. A process of its
 * own, so that it can be put into a network namespace that no other program uses: then the kernel's counters are of
 * these programs alone.
 */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { type Application } from './application-list';
import { type PairOutcome, runPair } from './application-pair';
import { makeRegion, removeRegion } from './application-region';
import { type RunSetting } from './application-settings';

export interface HostOrder {
  readonly application: Application;
  readonly settings: readonly RunSetting[];
  readonly limitMs: number;
  readonly ownNetwork: boolean;
  readonly prepared: string | undefined;
}

export interface HostLine {
  readonly setting: string;
  /** Undefined: this machine can not do it. */
  readonly outcome: PairOutcome | undefined;
}

async function runSetting(order: HostOrder, setting: RunSetting): Promise<PairOutcome | undefined> {
  const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'stp-compat-'));
  try {
    const region = makeRegion(setting.region, scratch);
    if (region === undefined) return undefined;
    try {
      return await runPair({ ...order, setting, scratch, region });
    } finally {
      removeRegion(region);
    }
  } finally {
    fs.rmSync(scratch, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  }
}

async function main(): Promise<void> {
  const order = JSON.parse(process.argv[2] ?? '') as HostOrder;
  for (const setting of order.settings) {
    const line: HostLine = { setting: setting.name, outcome: await runSetting(order, setting) };
    process.stdout.write(`${JSON.stringify(line)}\n`);
  }
}

if (require.main === module) void main();
