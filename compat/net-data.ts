/**
 * What is known of Node's own net tests, as data beside this file:
 * - `net/classes.json`: each test and its class;
 * - `net/expectations.json`: each test that is not expected to pass, in which mode, and why;
 * - `net/needs-transport.json`: the tests that fail where there is none, so that a pass says something.
 */
import fs from 'node:fs';
import path from 'node:path';
import { projectRoot } from '../scripts/project-root';
import { hasNamespaces } from './namespace';
import { type Mode, type Outcome } from './net-test';

export interface Expectation {
  readonly native?: Outcome;
  readonly stp?: Outcome;
  /**
   * How it ends natively depends on how the machine is set up, unless it has a network namespace, where that is always
   * the same.
   */
  readonly machine?: boolean;
  readonly reason: string;
}

export interface NetData {
  readonly classes: Readonly<Record<string, string>>;
  readonly expectations: Readonly<Record<string, Expectation>>;
  readonly needsTransport: ReadonlySet<string>;
}

const OUTCOMES: readonly unknown[] = ['pass', 'fail', 'skip', undefined];

function read(name: string): unknown {
  return JSON.parse(fs.readFileSync(path.join(projectRoot(), 'compat/net', name), 'utf8'));
}

export function netData(): NetData {
  const data: NetData = {
    classes: read('classes.json') as NetData['classes'],
    expectations: read('expectations.json') as NetData['expectations'],
    needsTransport: new Set(read('needs-transport.json') as string[]),
  };
  for (const [test, { native, stp, reason }] of Object.entries(data.expectations)) {
    const sound =
      test in data.classes &&
      OUTCOMES.includes(native) &&
      OUTCOMES.includes(stp) &&
      typeof reason === 'string' &&
      reason !== '';
    if (!sound) throw new Error(`compat/net/expectations.json: ${test} is no known test, or lacks a reason`);
  }
  return data;
}

/** How a test should end under the Node that the data are of; undefined: there is nothing to expect. */
export function expected(data: NetData, test: string, mode: Mode): Outcome | undefined {
  if (mode === 'none') return data.needsTransport.has(test) ? 'fail' : 'pass';
  const expectation = data.expectations[test];
  if (mode === 'native' && expectation?.machine === true && !hasNamespaces()) return undefined;
  return expectation?.[mode] ?? 'pass';
}
