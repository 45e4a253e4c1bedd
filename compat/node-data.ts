/**
 * What is known of a group of Node's own tests, as data in `node/<group>`; a file that is not there says nothing:
 * - `expectations.json`: each test that is not expected to pass, in which mode, and why;
 * - `needs-transport.json`: the tests that fail where there is none, so that a pass says something;
 * - `classes.json`: each test and its class.
 */
import fs from 'node:fs';
import path from 'node:path';
import { projectRoot } from '../scripts/project-root';
import { hasNamespaces } from './namespace';
import { type Mode, type Outcome } from './node-test';

/** What a test that is not expected to pass asks for. */
export const KINDS = {
  natively: 'does not pass natively either, or is skipped',
  handle: 'looks at the handle of a socket or server, or hands one out itself',
  descriptor: 'a descriptor of the system: listens at one, or gives one away and keeps it',
  resources: 'counts what Node has inside, by async_hooks',
  order: 'an order of events that native code makes, and JavaScript that calls it can not',
  ours: 'a difference of ours',
} as const;

export type Kind = keyof typeof KINDS;

export interface Expectation {
  readonly native?: Outcome;
  readonly stp?: Outcome;
  /**
   * How it ends natively depends on how the machine is set up, unless it has a network namespace, where that is always
   * the same.
   */
  readonly machine?: boolean;
  /** It does not end alike in each run over STP, which counts as not passed. */
  readonly unsteady?: boolean;
  readonly kind: Kind;
  readonly reason: string;
}

export interface NodeData {
  readonly classes: Readonly<Record<string, string>>;
  readonly expectations: Readonly<Record<string, Expectation>>;
  readonly needsTransport: ReadonlySet<string>;
}

const OUTCOMES: readonly unknown[] = ['pass', 'fail', 'skip', undefined];

function read(group: string, name: string): unknown {
  const file = path.join(projectRoot(), 'compat/node', group, name);
  return fs.existsSync(file) ? JSON.parse(fs.readFileSync(file, 'utf8')) : undefined;
}

export function nodeData(group: string): NodeData {
  const data: NodeData = {
    classes: (read(group, 'classes.json') ?? {}) as NodeData['classes'],
    expectations: (read(group, 'expectations.json') ?? {}) as NodeData['expectations'],
    needsTransport: new Set((read(group, 'needs-transport.json') ?? []) as string[]),
  };
  for (const [test, { native, stp, kind, reason }] of Object.entries(data.expectations)) {
    const sound =
      OUTCOMES.includes(native) &&
      OUTCOMES.includes(stp) &&
      Object.keys(KINDS).includes(kind) &&
      typeof reason === 'string' &&
      reason !== '';
    if (!sound) throw new Error(`compat/node/${group}/expectations.json: ${test} lacks a kind or a reason`);
  }
  return data;
}

/** How a test should end under the Node that the data are of; undefined: there is nothing to expect. */
export function expected(data: NodeData, test: string, mode: Mode): Outcome | undefined {
  if (mode === 'none') return data.needsTransport.has(test) ? 'fail' : 'pass';
  const expectation = data.expectations[test];
  if (mode === 'native' && expectation?.machine === true && !hasNamespaces()) return undefined;
  if (mode === 'stp' && expectation?.unsteady === true) return undefined;
  return expectation?.[mode] ?? 'pass';
}
