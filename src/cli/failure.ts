/** How a command of `stp` ends when it can not do what was asked. */

/** Exit codes of `stp`; `stp run` otherwise ends as its command does. */
export const ExitCode = {
  ok: 0,
  /** What was asked for could not be done. */
  failed: 1,
  /** The command line or an environment variable is wrong. */
  usage: 2,
  /** The command of `stp run` exists and can not be executed. */
  notExecutable: 126,
  /** There is no such command. */
  notFound: 127,
  /** Plus the number of the signal that ended the command. */
  signalBase: 128,
} as const;

/** Ends the program with one helpful line on standard error and an exit code. */
export class CliFailure extends Error {
  override readonly name = 'CliFailure';

  constructor(
    message: string,
    readonly exitCode: number = ExitCode.failed,
    /** What to try, on a line of its own. */
    readonly hint?: string,
  ) {
    super(message);
  }
}

/** Also where the class is that of another bundle. */
export function isCliFailure(error: unknown): error is CliFailure {
  return error instanceof Error && error.name === 'CliFailure';
}
