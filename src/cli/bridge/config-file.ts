/**
 * The file of `stp bridge --config`: one option and its value a line, blank lines, and comments that begin with `#`.
 * What is wrong in it is told with file and line.
 */
import fs from 'node:fs';
import { CliFailure, ExitCode } from '../failure';
import { type BridgeCommandOptions } from './command';
import { type OptionLine, type OptionLines } from './option-lines';

const FILE_MAX_BYTES = 1_048_576;

/** Throws a CliFailure where the file can't be read, or a line of it is wrong. */
export function readConfig(file: string, parser: OptionLines): OptionLine[] {
  const lines: OptionLine[] = [];
  for (const [at, line] of textOf(file).split(/\r?\n/u).entries()) {
    const text = line.trim();
    if (text === '' || text.startsWith('#')) continue;
    const read = parser.parse(text, `${file}:${at + 1}`);
    const before = parser.isRepeatable(read.name) ? undefined : lines.find(({ name }) => name === read.name);
    if (before !== undefined)
      throw new CliFailure(`${read.where}: ${text}: ${before.where} says it already`, ExitCode.usage);
    lines.push(read);
  }
  return lines;
}

function textOf(file: string): string {
  const wrong = (why: string): CliFailure => new CliFailure(`--config ${file}: ${why}`, ExitCode.usage);
  let text: string;
  try {
    // A pipe would keep us waiting.
    const { size } = fs.statSync(file);
    if (!fs.statSync(file).isFile()) throw wrong('is no file');
    if (size > FILE_MAX_BYTES) throw wrong(`has more than ${FILE_MAX_BYTES} bytes`);
    text = fs.readFileSync(file, 'utf8');
  } catch (error) {
    if (error instanceof CliFailure) throw error;
    throw wrong((error as Error).message);
  }
  if (text.includes('\0')) throw wrong('is no text');
  return text.replace(/^\uFEFF/u, '');
}

/**
 * The options of the command line and those of the file: what can be repeated adds to it, of all else the command line
 * wins. `isGiven`: whether the command line says it.
 */
export function joinedOptions(
  options: BridgeCommandOptions,
  isGiven: (name: string) => boolean,
  lines: readonly OptionLine[],
): BridgeCommandOptions {
  const joined: Record<string, unknown> = { ...options };
  for (const { name, value } of lines) {
    const before = joined[name];
    if (Array.isArray(before)) joined[name] = [...(before as unknown[]), value];
    else if (!isGiven(name)) joined[name] = value;
  }
  return joined as unknown as BridgeCommandOptions;
}
