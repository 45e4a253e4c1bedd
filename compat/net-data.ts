/**
 * What is known of Node's own net tests, as data beside this file:
 * - `net/classes.json`: each test and its class;
 * - `net/expectations.json`: each test that is not expected to pass, in which mode, and why;
 * - `net/needs-transport.json`: the tests that fail where there is none, so that a pass says something.
 */
import fs from 'node:fs';
import path from 'node:path';
import { projectRoot } from '../scripts/project-root';
import { type Mode, type Outcome } from './net-test';

export interface Expectation {
  readonly native?: Outcome;
  readonly stp?: Outcome;
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
    const sound = test in data.classes && OUTCOMES.includes(native) && OUTCOMES.includes(stp) && typeof reason === 'string' && reason !== '';
    if (!sound) throw new Error(`compat/net/expectations.json: ${test} is no known test, or lacks a reason`);
  }
  return data;
}

/** How a test should end. */
export function expected(data: NetData, test: string, mode: Mode): Outcome {
  if (mode === 'none') return data.needsTransport.has(test) ? 'fail' : 'pass';
  return data.expectations[test]?.[mode] ?? 'pass';
}
