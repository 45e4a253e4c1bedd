/**
 * What TCP shows in scenarios whose two ends race: data beside this file, for each line of Node and scenario all that
 * was seen in many plays. `npm run record:tcp` records it anew. Scenarios that are not in it look the same over TCP
 * each time.
 */
import fs from 'node:fs';
import path from 'node:path';
import { projectRoot } from '../../scripts/project-root';
import { type Seen } from './scenario-pair';

/** By line of Node ('20'), then by scenario. */
export type Traces = Readonly<Record<string, Readonly<Record<string, readonly Seen[]>>>>;

const FILE = path.join(projectRoot(), 'test/shim/tcp-traces.json');

export const LINE = process.versions.node.split('.')[0] ?? '';

export function readTraces(): Traces {
  return JSON.parse(fs.readFileSync(FILE, 'utf8')) as Traces;
}

export function writeTraces(traces: Traces): void {
  fs.writeFileSync(FILE, `${JSON.stringify(traces, null, 2)}\n`);
}
