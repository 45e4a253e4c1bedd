/**
 * `stp bridge`: connections between TCP and the region, for programs that are not Node. Checks what it was told, opens
 * its forwards, says where they listen, and goes on until it is ended.
 */
import fs from 'node:fs';
import { type Command } from 'commander';
import { regionOptions } from '../../region';
import { CliFailure, ExitCode } from '../failure';
import { setPlace } from '../region-option';
import { type BridgeCommandOptions } from './command';
import { joinedOptions, readConfig } from './config-file';
import { type ConfigWatch, contentOf, watchConfig } from './config-watch';
import { Control } from './control';
import { InheritedSockets } from './inherited-sockets';
import { OptionLines, reasonOf } from './option-lines';
import { forwardsOf, secondsOf, settingsOf } from './options';
import { RunningBridge } from './running-bridge';
import { ServiceManager } from './service-manager';
import { overStdio } from './stdio';
import { StopSignal } from './stop-signal';
import { type Tell, teller } from './tell';

/** The event loop must not end while a bridge has nothing that listens. */
const KEEP_ALIVE_MS = 3_600_000;

/** Runs until a signal ends it. `command` has the options, and knows which of them were given. */
export async function bridge(given: BridgeCommandOptions, command: Command): Promise<void> {
  const parser = new OptionLines(command);
  const isGiven = (name: string): boolean => command.getOptionValueSource(name) === 'cli';
  // Before it is read: what changes after this is a change.
  const content = given.config === undefined ? undefined : contentOf(given.config);
  const lines = given.config === undefined ? [] : readConfig(given.config, parser);
  const options = joinedOptions(given, isGiven, lines);
  setPlace(options, process.env);
  // The region of the call library is that of the environment.
  regionOptions(process.env);
  const settings = settingsOf(options);
  secondsOf('--drain', options.drain, 0);
  if (options.stdio !== undefined) {
    await overStdio(options, settings);
    return;
  }
  checkForwards(options);
  const tell = teller(options);
  const inherited = InheritedSockets.of(process.env);
  const manager = new ServiceManager(process.env, tell);
  const running = new RunningBridge({
    given,
    isGiven,
    lines,
    parser,
    tell,
    inherited: (forward) => inherited.take(forward),
  });
  const stop = new StopSignal(options.config === undefined ? [] : ['SIGHUP']);
  const control = await Control.open(running, stop, tell);
  try {
    await running.open();
    inherited.checkAllTaken();
  } catch (error) {
    control.close();
    await running.drain();
    throw error;
  }
  await serve(running, { tell, manager, control, stop, content });
}

function checkForwards(options: BridgeCommandOptions): void {
  if (forwardsOf(options).length > 0 || options.config !== undefined || options.control !== undefined) return;
  throw new CliFailure(
    'nothing to forward',
    ExitCode.usage,
    'Name one: stp bridge -L 5432:db:5432, -R 6379:localhost:6379, -D 1080 or -H 3128',
  );
}

interface Surroundings {
  readonly tell: Tell;
  readonly manager: ServiceManager;
  readonly control: Control;
  readonly stop: StopSignal;
  /** Of the config file, when it was read. */
  readonly content: string | undefined;
}

/** All forwards listen. */
async function serve(running: RunningBridge, around: Surroundings): Promise<void> {
  const { tell, manager, control, stop } = around;
  const { pidFile, config } = running.options;
  const keepAlive = setInterval(() => undefined, KEEP_ALIVE_MS);
  const watch = config === undefined ? undefined : followConfig(config, running, around);
  if (pidFile !== undefined) fs.writeFileSync(pidFile, `${process.pid}\n`);
  manager.ready();
  const why = await stop.first;
  watch?.close();
  clearInterval(keepAlive);
  void manager.stopping();
  if (running.isPartial) process.exitCode = ExitCode.failed;
  const drained = running.drain();
  const { connections, options } = running;
  const drainMs = stop.drainMs ?? secondsOf('--drain', options.drain, 0);
  tell('draining', `${why}: ${connections} connections have ${drainMs / 1000} s to end`, { connections });
  stop.afterDrain(drainMs, () => {
    running.abort();
  });
  await drained;
  stop.close();
  control.close();
  if (pidFile !== undefined) fs.rmSync(pidFile, { force: true });
}

/** Reads the config file again when it changes, and at SIGHUP. */
function followConfig(
  file: string,
  running: RunningBridge,
  { tell, manager, content }: Surroundings,
): ConfigWatch | undefined {
  const failed = (error: unknown): void => {
    const why = reasonOf(error);
    tell('config', why.includes(file) ? why : `${file}: ${why}`, { file, error: why });
  };
  const reload = async (): Promise<void> => {
    manager.reloading();
    try {
      await running.reload(file);
    } catch (error) {
      failed(error);
    }
    manager.ready();
  };
  const changed = (): void => void reload();
  process.on('SIGHUP', changed);
  try {
    return watchConfig(file, content, { changed, failed });
  } catch (error) {
    failed(error);
    return undefined;
  }
}
