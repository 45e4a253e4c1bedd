/**
 * `npm run compat`: programs that were not written for this project, natively and under the hook. Exit codes: 0 all as
 * expected, 1 not so or not run, 2 the command line is wrong.
 */
import fs from 'node:fs';
import path from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { CliFailure, ExitCode } from '../src/cli/failure';
import { applicationSection } from './application-section';
import { defaultCache } from './cache';
import { endWith } from './end-with';
import { NODE_GROUPS } from './node-groups';
import { type NodeSettings, nodeSection } from './node-section';
import { type Section } from './section';

interface Options {
  readonly filter?: string;
  readonly json?: string;
  readonly cache?: string;
  readonly jobs: number;
  readonly limitSeconds: number;
  readonly node?: string;
  readonly withoutTransport?: boolean;
  readonly verbose?: boolean;
  readonly every: number;
  readonly settings?: string[];
}

/** On the command line: all groups of Node's own tests. */
const NODE = 'node';

function sectionsFor(options: Options): Section[] {
  const settings: NodeSettings = {
    node: options.node,
    withoutTransport: options.withoutTransport === true,
    verbose: options.verbose === true,
    every: options.every,
  };
  return [
    ...NODE_GROUPS.map((group) => nodeSection(group, settings)),
    applicationSection({ node: options.node, settings: options.settings }),
  ];
}

/** A whole number from the command line. */
function whole(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^\d+$/u.test(text) || value < least || value > most)
      throw new InvalidArgumentError(`It must be a whole number from ${least} to ${most}.`);
    return value;
  };
}

export function program(): Command {
  const names = sectionsFor({ jobs: 1, limitSeconds: 1, every: 1 }).map(
    ({ name, summary }) => `  ${name.padEnd(21)}${summary}`,
  );
  return new Command('npm run compat --')
    .description('Runs programs that were not written for this project, natively and under the hook with STP_NET=stp.')
    .argument('[sections...]', 'what to run; nothing: all')
    .option('--filter <text>', 'only what has this text in its name')
    .option('--json <file>', 'write the results to a file, for compat-matrix.md')
    .option('--cache <dir>', 'where fetched programs are kept (default: stp-net in $XDG_CACHE_HOME or ~/.cache)')
    .option('--jobs <n>', 'programs at a time', whole(1, 64), 2)
    .option('--limit-seconds <n>', 'how long one program may take', whole(1, 3600), 60)
    .option(
      '--node <version>',
      "run with this Node (22, 24.1.0); of Node's own tests, what passes natively must then pass over STP",
    )
    .option(
      '--without-transport',
      "groups of Node's tests: run where kernel TCP is blocked and nothing in its place, " +
        'which tells the tests that need a transport',
    )
    .option('--every <n>', "groups of Node's tests: a sample, each n-th file in order of name", whole(1, 1000), 1)
    .option(
      '--verbose',
      "groups of Node's tests: print the output of each test that fails, also where that is expected",
    )
    .option('--settings <list>', 'applications: only in these, such as "stp mapped,auto both"', (text: string) =>
      text.split(',').map((name) => name.trim()),
    )
    .showSuggestionAfterError()
    .showHelpAfterError('Try: npm run compat -- --help')
    .exitOverride()
    .addHelpText(
      'after',
      [
        '',
        'Sections:',
        ...names,
        `  ${NODE.padEnd(21)}all of Node's own tests: each of these but applications`,
        '',
        'Examples:',
        '  npm run compat',
        '  npm run compat -- net --filter half-open --verbose',
        '  npm run compat -- http http2 --every 10',
        '  STP_DRIVER=direct npm run compat -- node',
      ].join('\n'),
    )
    .action(compat);
}

async function compat(names: string[], options: Options): Promise<void> {
  const all = sectionsFor(options);
  const wanted = names.flatMap((name) => (name === NODE ? NODE_GROUPS.map((group) => group.name) : [name]));
  const unknown = wanted.find((name) => !all.some((section) => section.name === name));
  if (unknown !== undefined)
    throw new CliFailure(
      `"${unknown}" is no section`,
      ExitCode.usage,
      `Sections: ${[...all.map(({ name }) => name), NODE].join(', ')}`,
    );
  if (options.json !== undefined && !fs.existsSync(path.dirname(path.resolve(options.json))))
    throw new CliFailure(`--json ${options.json}: there is no such directory`, ExitCode.usage);
  if (options.filter === '') throw new CliFailure('--filter: the text is empty', ExitCode.usage);
  const results: Record<string, unknown> = {};
  let ok = true;
  for (const section of all.filter(({ name }) => wanted.length === 0 || wanted.includes(name))) {
    const result = await section.run({
      filter: options.filter,
      cache: path.resolve(options.cache ?? defaultCache()),
      jobs: options.jobs,
      limitMs: options.limitSeconds * 1000,
    });
    if (result.data !== undefined) results[section.name] = result.data;
    ok &&= result.ok;
  }
  if (Object.keys(results).length === 0)
    throw new CliFailure(`nothing has "${options.filter ?? ''}" in its name`, ExitCode.usage);
  if (options.json !== undefined) fs.writeFileSync(options.json, `${JSON.stringify(results, undefined, 1)}\n`);
  if (!ok) process.exitCode = ExitCode.failed;
}

if (require.main === module) void endWith('compat', () => program().parseAsync(process.argv));
