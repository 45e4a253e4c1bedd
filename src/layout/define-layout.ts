/**
 * A layout: what lies at which offset of a block, a record or a page of words, declared once.
 *
 * Code, the generated docs and the inspector all come from the same declaration, so none of them can drift. A layout is
 * checked before the first byte is touched by it, and all of them by a test: a field past the end, an overlap or a
 * misaligned word is an exception. Not when it is declared, as most processes use few of them. There is no behaviour
 * here.
 *
 * Invariants: integers are little endian; a `u64` holds an integer of at most 53 bits; `text` is UTF-8 padded with
 * zeros.
 */
import { StpError } from '../errors';

export type FieldKind = 'u8' | 'u16' | 'u24' | 'u32' | 'u64' | 'bytes' | 'text';

/** Which process may write a field. `creator` writes once, before any other process looks. */
export type FieldWriter = 'creator' | 'owner' | 'sender';

export interface Field {
  /** Offset in bytes from the start of the layout. */
  readonly at: number;
  readonly kind: FieldKind;
  /** Size in bytes; only `bytes` and `text` have one to declare. */
  readonly size?: number;
  readonly writer: FieldWriter;
  readonly doc: string;
}

export type Fields = Readonly<Record<string, Field>>;

type ValueOf<F extends Field> = F['kind'] extends 'bytes' ? Uint8Array : F['kind'] extends 'text' ? string : number;
export type LayoutValues<F extends Fields> = { -readonly [K in keyof F]: ValueOf<F[K]> };

export interface Layout<F extends Fields = Fields> {
  readonly name: string;
  readonly sizeBytes: number;
  readonly doc: string;
  readonly fields: F;
  /**
   * Writes every field into `target` at `at`; a value that does not fit its field throws EINVAL and names the field.
   */
  encode(values: LayoutValues<F>, target: Uint8Array, at?: number): void;
  /** Reads every field. Never reads outside `at`..`at + sizeBytes`: a source too short throws ESTPCORRUPT. */
  decode(source: Uint8Array, at?: number): LayoutValues<F>;
}

const WORD_SIZES = { u8: 1, u16: 2, u24: 3, u32: 4, u64: 8 } as const;
const U32 = 0x1_0000_0000;
const decoder = new TextDecoder('utf-8', { fatal: false });
const encoder = new TextEncoder();
const ASCII_MAX = 0x7f;
const KNOWN_TEXT_BYTES_MAX = 64;
const KNOWN_TEXTS_MAX = 256;
const knownTexts = new Map<string, Uint8Array>();
const sharedTexts = new Map<string, string>();

/** Size of a field in bytes. */
export function fieldSize(field: Field): number {
  return field.kind === 'bytes' || field.kind === 'text' ? (field.size ?? 0) : WORD_SIZES[field.kind];
}

/** Declares a layout. A mistake in it throws when it is used, see {@link checkLayout}. */
export function defineLayout<const F extends Fields>(
  name: string,
  sizeBytes: number,
  fields: F,
  about: { doc: string },
): Layout<F> {
  let checked: readonly KnownField[] | undefined;
  const known = (): readonly KnownField[] => (checked ??= knownFields(name, sizeBytes, fields));
  return Object.freeze({
    name,
    sizeBytes,
    doc: about.doc,
    fields,
    encode(values: LayoutValues<F>, target: Uint8Array, at = 0): void {
      if (at < 0 || at + sizeBytes > target.length) throw new StpError('EINVAL', `${name} does not fit its buffer`);
      const view = new DataView(target.buffer, target.byteOffset + at, sizeBytes);
      target.fill(0, at, at + sizeBytes);
      for (const field of known()) writeField(field, (values as Record<string, unknown>)[field.key], view);
    },
    decode(source: Uint8Array, at = 0): LayoutValues<F> {
      if (at < 0 || at + sizeBytes > source.length) throw new StpError('ESTPCORRUPT', `${name} is cut short`);
      const view = new DataView(source.buffer, source.byteOffset + at, sizeBytes);
      const values: Record<string, unknown> = {};
      for (const field of known()) values[field.key] = readField(field, view, source, at);
      return values as LayoutValues<F>;
    },
  });
}

/** Throws where a layout can't be as it was declared, and says why. */
export function checkLayout({ name, sizeBytes, fields }: Pick<Layout, 'name' | 'sizeBytes' | 'fields'>): void {
  const fail = (why: string): never => {
    throw new Error(`layout ${name}: ${why}`);
  };
  let end = 0;
  for (const [key, field] of Object.entries(fields)) {
    const size = fieldSize(field);
    if (size <= 0) fail(`${key} has no size`);
    // Three bytes are read with the word that they lie in.
    const alignment = field.kind === 'u24' ? 4 : size;
    if (field.kind in WORD_SIZES && field.at % alignment !== 0) fail(`${key} is not aligned to ${alignment} bytes`);
    if (field.at < end) fail(`${key} overlaps the field before it, or is declared out of order`);
    end = field.at + size;
    if (end > sizeBytes) fail(`${key} ends at ${end}, past ${sizeBytes}`);
  }
}

/** A field, and what each write of it needs. */
interface KnownField {
  /** `Layout.field`, for messages. */
  readonly path: string;
  readonly key: string;
  readonly at: number;
  readonly kind: FieldKind;
  readonly sizeBytes: number;
  /** The largest integer that it holds. */
  readonly limit: number;
}

function knownFields(name: string, sizeBytes: number, fields: Fields): readonly KnownField[] {
  checkLayout({ name, sizeBytes, fields });
  return Object.entries(fields).map(([key, field]) => knownField(name, key, field));
}

function knownField(layout: string, key: string, field: Field): KnownField {
  const sizeBytes = fieldSize(field);
  const limit = sizeBytes >= 8 ? Number.MAX_SAFE_INTEGER : 2 ** (sizeBytes * 8) - 1;
  return { path: `${layout}.${key}`, key, at: field.at, kind: field.kind, sizeBytes, limit };
}

function writeField(field: KnownField, value: unknown, view: DataView): void {
  const { kind, at, limit } = field;
  if (kind === 'bytes' || kind === 'text') {
    writeBytes(field, value, view);
    return;
  }
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > limit)
    throw unfit(field, `must be an integer from 0 to ${limit}`);
  if (kind === 'u8') view.setUint8(at, value);
  else if (kind === 'u16') view.setUint16(at, value, true);
  else if (kind === 'u24') {
    view.setUint16(at, value & 0xffff, true);
    view.setUint8(at + 2, value >>> 16);
  } else if (kind === 'u32') view.setUint32(at, value, true);
  else {
    view.setUint32(at, value % U32, true);
    view.setUint32(at + 4, Math.floor(value / U32), true);
  }
}

function writeBytes(field: KnownField, value: unknown, view: DataView): void {
  const bytes = typeof value === 'string' ? textBytes(value) : value;
  if (!(bytes instanceof Uint8Array)) throw unfit(field, 'is not bytes');
  if (bytes.length > field.sizeBytes) throw unfit(field, `takes at most ${field.sizeBytes} bytes`);
  for (let i = 0; i < bytes.length; i += 1) view.setUint8(field.at + i, bytes[i] ?? 0);
}

function unfit({ path }: KnownField, why: string): StpError {
  return new StpError('EINVAL', `${path} ${why}`);
}

/** Names of systems and groups are few, and come with each connect: an encoder costs more than a copy. */
function textBytes(text: string): Uint8Array {
  let bytes = knownTexts.get(text);
  if (bytes !== undefined) return bytes;
  bytes = encoder.encode(text);
  if (bytes.length > KNOWN_TEXT_BYTES_MAX) return bytes;
  if (knownTexts.size >= KNOWN_TEXTS_MAX) knownTexts.clear();
  knownTexts.set(text, bytes);
  return bytes;
}

function readField({ kind, at, sizeBytes }: KnownField, view: DataView, source: Uint8Array, from: number): unknown {
  if (kind === 'bytes') return source.slice(from + at, from + at + sizeBytes);
  if (kind === 'text') return readText(source, from + at, from + at + sizeBytes);
  if (kind === 'u8') return view.getUint8(at);
  if (kind === 'u16') return view.getUint16(at, true);
  if (kind === 'u24') return view.getUint16(at, true) | (view.getUint8(at + 2) << 16);
  if (kind === 'u32') return view.getUint32(at, true);
  // Only 21 bits of the upper word count: what is above can only come from damage, and must not lose precision.
  return view.getUint32(at, true) + (view.getUint32(at + 4, true) & 0x1f_ffff) * U32;
}

/** Up to the first zero. Most of it is ASCII, which needs no decoder. */
function readText(source: Uint8Array, from: number, to: number): string {
  let text = '';
  for (let i = from; i < to; i += 1) {
    const byte = source[i] ?? 0;
    if (byte === 0) return shared(text);
    if (byte > ASCII_MAX) return decodeText(source.subarray(from, to));
    text += String.fromCharCode(byte);
  }
  return shared(text);
}

/** One string for all records that have the same text: names come with each connection, and are kept as long. */
function shared(text: string): string {
  const known = sharedTexts.get(text);
  if (known !== undefined) return known;
  if (sharedTexts.size < KNOWN_TEXTS_MAX) sharedTexts.set(text, text);
  return text;
}

function decodeText(bytes: Uint8Array): string {
  const zero = bytes.indexOf(0);
  return decoder.decode(zero < 0 ? bytes : bytes.subarray(0, zero));
}
