/**
 * All that `net` has, by version of Node, and what becomes of it under the hook: `compat/api/net.json`. A test holds it
 * to the Node that runs it.
 */
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { projectRoot } from '../scripts/project-root';

export const NODE_LINES = [20, 22, 24, 26] as const;

export interface ApiEntry {
  readonly name: string;
  readonly kind: 'export' | 'member' | 'event' | 'option' | 'elsewhere' | 'internal';
  /** Lines of Node that have it. */
  readonly nodes: readonly number[];
  readonly state: 'works' | 'native' | 'differs';
  /** What is to be said of it; where it differs, how. */
  readonly how?: string;
}

const KINDS: readonly unknown[] = ['export', 'member', 'event', 'option', 'elsewhere', 'internal'];
const STATES: readonly unknown[] = ['works', 'native', 'differs'];

export function apiEntries(): ApiEntry[] {
  const entries = JSON.parse(fs.readFileSync(path.join(projectRoot(), 'compat/api/net.json'), 'utf8')) as ApiEntry[];
  for (const entry of entries) {
    const sound =
      KINDS.includes(entry.kind) &&
      STATES.includes(entry.state) &&
      entry.nodes.length > 0 &&
      (entry.state !== 'differs' || (entry.how ?? '') !== '');
    if (!sound) throw new Error(`compat/api/net.json: ${entry.name} lacks something`);
  }
  return entries;
}

const CLASSES = ['Socket', 'Server', 'BlockList', 'SocketAddress', 'BoundSocket'] as const;
const FUNCTION_OWN: readonly string[] = ['length', 'name', 'prototype'];

function shown(key: string | symbol): string {
  if (typeof key === 'string') return `#${key}`;
  const description = key.description ?? '';
  if (description === 'nodejs.asyncDispose' || description === 'Symbol.asyncDispose') return '#[Symbol.asyncDispose]';
  return description === 'nodejs.rejection' ? '#[Symbol.for(nodejs.rejection)]' : `#Symbol(${description})`;
}

/** Names of all that this Node's net exports, as `compat/api/net.json` has them. */
export function netSurface(): string[] {
  const exported = net as unknown as Record<string, unknown>;
  const names = Object.keys(exported).map((key) => `net.${key}`);
  for (const name of CLASSES) {
    const own = exported[name];
    if (typeof own !== 'function') continue;
    const members = Reflect.ownKeys(own.prototype as object).filter((key) => key !== 'constructor');
    const statics = Reflect.ownKeys(own).filter((key) => typeof key !== 'string' || !FUNCTION_OWN.includes(key));
    names.push(...members.map((key) => `${name}${shown(key)}`), ...statics.map((key) => `${name}.${String(key)}`));
  }
  return names.sort();
}
