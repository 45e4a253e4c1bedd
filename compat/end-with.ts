/** How the commands of this folder end: with an exit code, and one helpful line where something went wrong. */
import { CommanderError } from 'commander';
import { CliFailure, ExitCode } from '../src/cli/failure';

/**
 * Runs a command line to its end. What is neither a wrong one nor a known failure is a bug, and ends the program as
 * such.
 */
export async function endWith(name: string, run: () => Promise<unknown>): Promise<void> {
  // A reader that has seen enough (`| head`) is no failure.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    process.exit();
  });
  try {
    await run();
  } catch (error) {
    // Commander has said it already; help ends this way too, with 0.
    if (error instanceof CommanderError) {
      process.exitCode = error.exitCode === 0 ? ExitCode.ok : ExitCode.usage;
      return;
    }
    if (!(error instanceof CliFailure)) throw error;
    process.stderr.write(`${name}: ${error.message}\n${error.hint === undefined ? '' : `${error.hint}\n`}`);
    process.exitCode = error.exitCode;
  }
}
