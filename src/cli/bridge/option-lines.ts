/**
 * Options of `stp bridge` that come one a line: from a config file, and from `stp bridge ctl`. Commander reads them
 * with the options of the command line, so that grammar and errors are the same.
 */
import { Command, CommanderError, type Option } from 'commander';
import { StpError } from '../../errors';
import { CliFailure, ExitCode } from '../failure';
import { type BridgeCommandOptions } from './command';
import { forwardsOf, secondsOf, settingsOf } from './options';

/** One option with its value, as commander has read it. */
export interface OptionLine {
  /** Its property in BridgeCommandOptions. */
  readonly name: string;
  readonly value: unknown;
  /** As it stands there, without blanks around it. */
  readonly text: string;
  /** Where it stands, for messages: `bridge.conf:3`. */
  readonly where: string;
}

/** They say where the other options are, or are about standard input. */
const ON_COMMAND_LINE_ALONE: readonly string[] = ['config', 'control', 'stdio'];

export class OptionLines {
  readonly #options: readonly Option[];

  /** `command` has the options. */
  constructor(command: Command) {
    this.#options = command.options;
  }

  /** What stands where no option is given. */
  get defaults(): BridgeCommandOptions {
    const values = this.#options.map((option) => [option.attributeName(), option.defaultValue as unknown]);
    return Object.fromEntries(values) as BridgeCommandOptions;
  }

  /** An option that can be given several times: forwards and rules. */
  isRepeatable(name: string): boolean {
    return this.#options.some((option) => option.attributeName() === name && Array.isArray(option.defaultValue));
  }

  get repeatable(): readonly string[] {
    return this.#options.map((option) => option.attributeName()).filter((name) => this.isRepeatable(name));
  }

  /** Throws a CliFailure that says where, and what is wrong with it. */
  parse(text: string, where: string): OptionLine {
    const wrong = (why: string): CliFailure => new CliFailure(`${where}: ${why}`, ExitCode.usage);
    if (!text.startsWith('-'))
      throw wrong(`${JSON.stringify(text)} is no option; lines are as -L 5432:db:5432 or --allow db:5432`);
    const [first, rest] = splitOnce(text);
    const parser = this.#parser();
    try {
      parser.parse(rest === '' ? [first] : [first, rest], { from: 'user' });
    } catch (error) {
      if (!(error instanceof CommanderError)) throw error;
      throw wrong(error.message.replace(/^error: /u, '').replaceAll('\n', ' '));
    }
    const given = this.#options
      .map((option) => option.attributeName())
      .filter((name) => parser.getOptionValueSource(name) === 'cli');
    const [name] = given;
    if (name === undefined || given.length > 1) throw wrong(`${text}: one option a line is wanted`);
    if (ON_COMMAND_LINE_ALONE.includes(name)) throw wrong(`${first} can stand on the command line alone`);
    const value: unknown = parser.getOptionValue(name);
    this.#check(name, value, wrong);
    return { name, value: this.isRepeatable(name) ? (value as readonly unknown[])[0] : value, text, where };
  }

  #parser(): Command {
    const parser = new Command('bridge')
      .helpOption(false)
      .exitOverride()
      .showSuggestionAfterError()
      .configureOutput({ writeErr: () => undefined, writeOut: () => undefined });
    for (const option of this.#options) parser.addOption(option);
    return parser;
  }

  /** Throws where the value of one option is wrong. */
  #check(name: string, value: unknown, wrong: (why: string) => CliFailure): void {
    const options = { ...this.defaults, [name]: value };
    try {
      forwardsOf(options);
      settingsOf(options);
      secondsOf('--drain', options.drain, 0);
    } catch (error) {
      throw wrong(reasonOf(error));
    }
  }
}

/** What is wrong, without the code in front of it. */
export function reasonOf(error: unknown): string {
  if (error instanceof StpError) return error.detail ?? error.message;
  return error instanceof Error ? error.message : String(error);
}

/** The first word, and all that follows it. */
function splitOnce(text: string): [string, string] {
  const at = text.search(/\s/u);
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at).trim()];
}
