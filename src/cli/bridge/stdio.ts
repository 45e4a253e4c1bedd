/** `stp bridge -W`: standard input and output as one end of a connection. */
import { type BridgeOptions, connectStp, joinStdio, partsOf, shownStp, stpAddress, systemOf } from '../../bridge';
import { CliFailure, ExitCode } from '../failure';
import { type BridgeCommandOptions } from './command';

/** `-W system:port`: standard input and output. */
export async function overStdio(
  options: BridgeCommandOptions,
  { connectTimeoutMs, rules }: BridgeOptions,
): Promise<void> {
  const value = options.stdio ?? '';
  const { local, remote, udp, socks, http } = options;
  if ([local, remote, udp, socks, http].some(({ length }) => length > 0))
    throw new CliFailure('-W takes standard input and output, and goes with no other forward', ExitCode.usage);
  const to = stpAddress('-W', value, partsOf('-W', value));
  try {
    const { system, names } = systemOf(to.system);
    rules.check(to.port, names);
    await joinStdio(await connectStp({ system, port: to.port }, connectTimeoutMs));
  } catch (error) {
    throw new CliFailure(`${shownStp(to)}: ${(error as Error).message}`);
  }
  // Standard input may still be open.
  process.exit(ExitCode.ok);
}
