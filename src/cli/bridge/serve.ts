/**
 * `stp bridge`: connections between TCP and the region, for programs that are not Node. Checks what it was told, opens
 * its forwards, says where they listen, and goes on until it is ended.
 */
import fs from 'node:fs';
import { Bridge, type BridgeOptions, type Forward, shownForward } from '../../bridge';
import { regionOptions } from '../../region';
import { CliFailure, ExitCode } from '../failure';
import { setPlace } from '../region-option';
import { type BridgeCommandOptions } from './command';
import { forwardsOf, secondsOf, settingsOf } from './options';
import { overStdio } from './stdio';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Runs until a signal ends it. */
export async function bridge(options: BridgeCommandOptions): Promise<void> {
  useRegion(options);
  const settings = settingsOf(options);
  if (options.stdio !== undefined) {
    await overStdio(options, settings);
    return;
  }
  const forwards = forwardsOf(options);
  if (forwards.length === 0)
    throw new CliFailure(
      'nothing to forward',
      ExitCode.usage,
      'Name one: stp bridge -L 5432:db:5432, -R 6379:localhost:6379, -D 1080 or -H 3128',
    );
  await serve(options, settings, forwards);
}

/** The region of the call library is that of the environment. */
function useRegion(options: BridgeCommandOptions): void {
  setPlace(options, process.env);
  regionOptions(process.env);
}

async function serve(
  options: BridgeCommandOptions,
  settings: BridgeOptions,
  forwards: readonly Forward[],
): Promise<void> {
  const tell = teller(options);
  const drainMs = secondsOf('--drain', options.drain, 0);
  const own = new Bridge(settings, {
    closed: ({ from, to, sentBytes, receivedBytes, droppedDatagrams }) => {
      const dropped = droppedDatagrams === undefined ? '' : `, ${droppedDatagrams} datagrams dropped`;
      tell('closed', `${from} -> ${to}: ${sentBytes} bytes there, ${receivedBytes} back${dropped}`, {
        from,
        to,
        sentBytes,
        receivedBytes,
        droppedDatagrams,
      });
    },
    failed: ({ from, to, error, count = 1 }) => {
      const times = count === 1 ? '' : `, ${count} times`;
      const facts = { from, to, error: error.message, code: codeOf(error), count };
      tell('failed', `${from} -> ${to}: ${error.message}${times}`, facts);
    },
    lost: (forward) => {
      process.exitCode = ExitCode.failed;
      tell('lost', `${shownForward(forward)}: another process has the port now`, { forward });
    },
  });
  for (const wanted of forwards) {
    try {
      const { forward } = await own.open(wanted);
      tell('listening', shownForward(forward), { forward });
    } catch (error) {
      await own.drain();
      throw notOpened(shownForward(wanted), error);
    }
  }
  if (options.pidFile !== undefined) fs.writeFileSync(options.pidFile, `${process.pid}\n`);
  const signal = await firstSignal();
  const drained = own.drain();
  tell('draining', `${signal}: ${own.connections} connections have ${options.drain} s to end`, {
    connections: own.connections,
  });
  const timer = setTimeout(() => {
    own.abort();
  }, drainMs);
  await drained;
  clearTimeout(timer);
  if (options.pidFile !== undefined) fs.rmSync(options.pidFile, { force: true });
}

function codeOf(error: Error): string {
  return (error as NodeJS.ErrnoException).code ?? 'EIO';
}

/** Prints events: where it listens in any case, connections where that is asked for. */
function teller({ json, verbose }: BridgeCommandOptions): (event: string, text: string, facts: object) => void {
  return (event, text, facts) => {
    if (json === true) process.stdout.write(`${JSON.stringify({ event, ...facts })}\n`);
    else if (event === 'listening') process.stdout.write(`${text}\n`);
    else if (verbose === true || event === 'lost') process.stderr.write(`stp bridge: ${event}: ${text}\n`);
  };
}

function notOpened(what: string, error: unknown): Error {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'EADDRINUSE')
    return new CliFailure(
      `${what}: the port or path is in use`,
      ExitCode.failed,
      what.startsWith('stp:')
        ? 'stp ss -l shows by which process.'
        : 'ss -ltnp, ss -lunp or ss -lxp shows by which process.',
    );
  // The class of the call library, which is another bundle.
  if (error instanceof Error && error.name === 'StpError') return error;
  return new CliFailure(`${what}: ${message}`);
}

function firstSignal(): Promise<string> {
  return new Promise((resolve) => {
    for (const name of SIGNALS) process.once(name, resolve);
  });
}
