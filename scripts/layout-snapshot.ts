/**
 * All that the bytes of a region depend on, as plain data: every layout and every number with a meaning.
 *
 * Comments and docs are left out: they may change without a new format version, everything in here may not.
 */
import * as layoutModule from '../src/layout';
import { fieldSize, type Layout } from '../src/layout';

export interface FieldSnapshot {
  readonly at: number;
  readonly kind: string;
  readonly sizeBytes: number;
  readonly writer: string;
}

export interface LayoutSnapshot {
  readonly sizeBytes: number;
  readonly fields: Readonly<Record<string, FieldSnapshot>>;
}

export interface FormatSnapshot {
  readonly version: number;
  readonly layouts: Readonly<Record<string, LayoutSnapshot>>;
  readonly constants: Readonly<Record<string, unknown>>;
}

/** True for what defineLayout returned. */
export function isLayout(value: unknown): value is Layout {
  return typeof value === 'object' && value !== null && 'fields' in value && 'encode' in value && 'sizeBytes' in value;
}

/** Every layout that src/layout exports, in the order of their names. */
export function allLayouts(): Layout[] {
  return Object.values<unknown>({ ...layoutModule })
    .filter(isLayout)
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** The format as it is now. */
export function formatSnapshot(): FormatSnapshot {
  const layouts: Record<string, LayoutSnapshot> = {};
  for (const layout of allLayouts()) layouts[layout.name] = layoutSnapshot(layout);
  const constants: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(layoutModule).sort(([a], [b]) => (a < b ? -1 : 1))) {
    if (typeof value !== 'function' && !isLayout(value) && name !== 'FORMAT_VERSION') constants[name] = value;
  }
  return { version: layoutModule.FORMAT_VERSION, layouts, constants };
}

/** The snapshot as the text of its file. */
export function formatSnapshotText(): string {
  return `${JSON.stringify(formatSnapshot(), null, 2)}\n`;
}

function layoutSnapshot(layout: Layout): LayoutSnapshot {
  const fields: Record<string, FieldSnapshot> = {};
  for (const [name, field] of Object.entries(layout.fields)) {
    fields[name] = { at: field.at, kind: field.kind, sizeBytes: fieldSize(field), writer: field.writer };
  }
  return { sizeBytes: layout.sizeBytes, fields };
}
