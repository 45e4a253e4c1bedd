/** What the parts of compat-matrix.md are made with. */
import fs from 'node:fs';
import path from 'node:path';
import { projectRoot } from '../scripts/project-root';
import { NODE_LINES } from './api-data';

/** Recorded as `net-22.json`: what is recorded without a number is of the line that Node's tests are of. */
export const OTHER_LINES = NODE_LINES.filter((line) => line !== 20);

function read(file: string): string {
  return fs.readFileSync(path.join(projectRoot(), 'compat', file), 'utf8');
}

/** Text that no run can tell. */
export function part(name: string): string {
  return read(`matrix/${name}`).trim();
}

/** Data that no run can tell. */
export function known(name: string): unknown {
  return JSON.parse(read(`matrix/${name}`));
}

/** What was recorded of a section. */
export function result(file: string, section: string): unknown {
  const value = (JSON.parse(read(`results/${file}.json`)) as Record<string, unknown>)[section];
  if (value === undefined) throw new Error(`compat/results/${file}.json has nothing of ${section}`);
  return value;
}

export function table(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  align: readonly string[] = [],
): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map((_, index) => align[index] ?? '---')), ...rows.map(line)].join('\n');
}
