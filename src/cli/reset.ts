/** `stp reset`: removes a region that no live process uses. */
import { StpError } from '../errors';
import { inspectRegion, type InspectedProcess, removeRegion, type RemovedRegion } from '../region';
import { CliFailure, ExitCode } from './failure';
import { noRegion, regionDirectory, type RegionOption } from './region-option';

export type ResetOptions = RegionOption;

/** Removes the region, or fails and names the processes that use it. */
export function reset(options: ResetOptions): void {
  const directory = regionDirectory(options);
  let removed: RemovedRegion;
  try {
    removed = removeRegion(directory);
  } catch (error) {
    if (!(error instanceof StpError)) throw error;
    if (options.json === true)
      process.stdout.write(
        `${JSON.stringify({ removed: false, directory, code: error.code, reason: error.message })}\n`,
      );
    if (error.code === 'ENOENT') throw noRegion(directory);
    if (error.code === 'EBUSY') throw refusal(directory, error);
    throw error;
  }
  process.stdout.write(
    options.json === true
      ? `${JSON.stringify({ removed: true, region: directory, ...removed })}\n`
      : told(directory, removed),
  );
}

function told(directory: string, removed: RemovedRegion): string {
  const kept = removed.left.length === 0 ? '' : ` Left what no region made: ${removed.left.join(', ')}.`;
  return `Removed the region in ${directory}: ${removed.files} files.${kept}\n`;
}

/** The refusal, with one line for each process in the way. */
function refusal(directory: string, error: StpError): CliFailure {
  const living = inspectRegion(directory).processes.filter((process) => process.alive !== 'dead');
  if (living.length === 0) return new CliFailure(error.message);
  return new CliFailure(
    `${directory} is in use; nothing was removed`,
    ExitCode.failed,
    `${living.map(tenant).join('\n')}\nEnd them first, then try again.`,
  );
}

function tenant({ info, alive }: InspectedProcess): string {
  const thread = info.threadId === 0 ? '' : `, thread ${info.threadId}`;
  const doubt = alive === 'unknown' ? ' (of another host or container; perhaps it is alive)' : '';
  return `  pid ${info.pid}${thread} of system ${info.system}: ${info.title}${doubt}`;
}
