#!/usr/bin/env node
/**
 * The command `stp`: what it takes, what it tells, and how it ends. The work is in one file for each of its commands.
 */
import fs from 'node:fs';
import { Command, CommanderError, Option } from 'commander';
import { isErrorCode } from '../errors';
import { addBridge } from './bridge/command';
import { doctor, type DoctorOptions } from './doctor';
import { ExitCode, isCliFailure } from './failure';
import { ENVIRONMENT_HELP, EXAMPLES_HELP, EXIT_HELP } from './help';
import { REGION } from './region-option';
import { reset, type ResetOptions } from './reset';
import { run, type RunOptions } from './run';
import { ss, type SsOptions } from './ss';

/** The whole command line of `stp`. */
export function program(): Command {
  const stp = new Command('stp')
    .description("Node's net over a file-backed shared region instead of TCP: sockets through storage.")
    .version(version(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'teach this')
    .enablePositionalOptions()
    .showSuggestionAfterError()
    .showHelpAfterError('Try: stp --help')
    .exitOverride()
    .addHelpText('after', `\n${EXAMPLES_HELP}\n\n${ENVIRONMENT_HELP}\n\n${EXIT_HELP}`);
  addRun(stp);
  addSs(stp);
  addReset(stp);
  addBridge(stp);
  addDoctor(stp);
  return stp;
}

function addRun(stp: Command): void {
  stp
    .command('run')
    .summary('run a program, and every Node program it starts, over the region')
    .description(
      'Runs a command unmodified: Node programs in it use the region instead of TCP. ' +
        'Standard streams, signals and the exit code are those of the command.',
    )
    .argument('<command...>', 'the command; put -- before it')
    .option(...REGION)
    .addOption(
      new Option('--net <mode>', 'auto: STP where a live STP listener is, else TCP; stp: STP only; tcp: off').choices([
        'auto',
        'stp',
        'tcp',
      ]),
    )
    .addOption(
      new Option('--driver <driver>', 'how bytes move: mapped memory, or plain file I/O').choices([
        'auto',
        'mapped',
        'direct',
      ]),
    )
    .option('--system <name>', 'name of this system in the region (default: the host name)')
    .option('--group <name>', 'transport group of its ports (default: STG)')
    .option('--rules <rules>', "what goes by what, first match wins: 'stp :3000-3999; tcp *.example.com; auto *'")
    .option('--trace', 'print each STP call with its arguments and result to standard error')
    .passThroughOptions()
    .addHelpText(
      'after',
      '\nExamples:\n  stp run -- node server.js\n  stp run --net stp --region /mnt/shared/region -- npm start\n' +
        '  stp run --trace -- node client.js 2>calls.txt',
    )
    .action((command: string[], options: RunOptions) => run(command, options));
}

function addSs(stp: Command): void {
  stp
    .command('ss')
    .summary('show every socket of the region, like ss(8)')
    .description(
      'Shows every socket of the region, also those that dead processes left. ' +
        'Only reads: it takes no place in the region and disturbs nobody.',
    )
    .option(...REGION)
    .option('--json', 'print one JSON document')
    .option('-l, --listening', 'only sockets that listen')
    .option('-p, --processes', 'the processes of the region as well')
    .addHelpText(
      'after',
      '\nColumns: state; bytes received and not yet read (of a listener: requests waiting); bytes accepted and\n' +
        'not yet sent; own and other address as system:port (and /group, where it is not STG); bytes received and\n' +
        'sent; the owner: pid, thread, process number in the region.',
    )
    .action((options: SsOptions) => {
      ss(options);
    });
}

function addReset(stp: Command): void {
  stp
    .command('reset')
    .summary('remove a region nobody lives in')
    .description(
      'Removes the region when no live process uses it, and refuses otherwise, with who does. ' +
        'Removes nothing that stp-net did not make.',
    )
    .option(...REGION)
    .option('--json', 'print one JSON document')
    .action((options: ResetOptions) => {
      reset(options);
    });
}

function addDoctor(stp: Command): void {
  stp
    .command('doctor')
    .summary('measure what a directory can do for a region')
    .description(
      'Says whether a region works in a directory: ' +
        'opens one in it for a moment, connects two processes and checks what they send to each other. ' +
        'Measures file system, driver and speed. With --peer also what lies between two hosts: ' +
        'how soon one sees what the other writes, and whether reads are torn.',
    )
    .argument('[directory]', 'the directory (else STP_REGION, else the default); it must exist')
    .option('--peer', 'measure together with another host, on which stp doctor DIR --join runs')
    .option('--join', 'answer the stp doctor DIR --peer of another host')
    .option('--timeout <seconds>', 'how long to wait for the other side', '60')
    .option('--json', 'print one JSON document')
    .action((directory: string | undefined, options: DoctorOptions) => {
      doctor(directory, options);
    });
}

function version(): string {
  const manifest = fs.readFileSync(require.resolve('stp-net/package.json'), 'utf8');
  return (JSON.parse(manifest) as { version: string }).version;
}

/** Says what went wrong, and returns the exit code for it. */
export function report(error: unknown): number {
  // Commander has said it already; that help or the version was asked for comes this way too, with 0.
  if (error instanceof CommanderError) return error.exitCode === 0 ? ExitCode.ok : ExitCode.usage;
  // Also one of another bundle.
  if (isCliFailure(error)) {
    process.stderr.write(`stp: ${error.message}\n${error.hint === undefined ? '' : `${error.hint}\n`}`);
    return error.exitCode;
  }
  const code = (error as { code?: unknown } | null)?.code;
  if (error instanceof Error && isErrorCode(code)) {
    process.stderr.write(`stp: ${error.message}\n`);
    return code === 'ESTPCONFIG' ? ExitCode.usage : ExitCode.failed;
  }
  process.stderr.write(`stp: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  return ExitCode.failed;
}

/** A reader that has seen enough (`stp ss | head`) is no failure. */
function endQuietlyOnClosedPipe(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    process.exit(ExitCode.ok);
  });
}

async function main(): Promise<void> {
  endQuietlyOnClosedPipe();
  try {
    await program().parseAsync(process.argv);
  } catch (error) {
    process.exitCode = report(error);
  }
}

if (require.main === module) void main();
