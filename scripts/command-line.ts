/**
 * The command line of a script: `--help` prints its usage; what is wrong is told in a line with the usage behind it,
 * exit code 2.
 */
import { parseArgs, type ParseArgsConfig } from 'node:util';

type Options = NonNullable<ParseArgsConfig['options']>;
type Values<T extends Options> = ReturnType<typeof parseArgs<{ options: T }>>['values'];

/**
 * What `read` makes of the options; `usage` names them all but `--help`. Ends the process where there is nothing to
 * run.
 */
export function commandLine<T extends Options, R>(usage: string, options: T, read: (values: Values<T>) => R): R {
  const args = process.argv.slice(2);
  if (args.includes('--help')) {
    process.stdout.write(`${usage}\n  --help          this text\n`);
    process.exit(0);
  }
  try {
    return read(parseArgs({ args, options }).values);
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${usage}\n`);
    process.exit(2);
  }
}
