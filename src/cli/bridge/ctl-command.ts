/** The command line of `stp bridge ctl`, which changes a running bridge. */
import { type Command, type Option } from 'commander';
import { type CtlChange, type CtlOptions } from './ctl';

const CONTROL = ['--control <path>', 'the control socket of the bridge'] as const;
const PID = ['--pid <pid>', 'the bridge with this pid, where several run'] as const;

/** Adds it to `stp bridge`, whose options for forwards and rules can be added and removed. */
export function addCtl(bridge: Command): void {
  const changeable = bridge.options.filter((option) => Array.isArray(option.defaultValue));
  const ctl = bridge
    .command('ctl')
    .summary('change, show or stop a running bridge')
    .description(
      'Changes, shows or stops a running bridge of this user. Where several run, --pid or --control says which one.',
    );
  addChange(ctl, 'add', changeable, 'open forwards, add rules: all that are given, or none');
  addChange(ctl, 'remove', changeable, 'close forwards, remove rules; what is connected goes on');
  ctl
    .command('list')
    .summary('show the forwards, and what went through them')
    .description('Shows the forwards: state, connections, refusals, and bytes each way.')
    .option(...CONTROL)
    .option(...PID)
    .option('--json', 'print one JSON document')
    .action(async (options: CtlOptions) => {
      await (await import('./ctl.js')).listForwards(options);
    });
  ctl
    .command('stop')
    .summary('end the bridge, as SIGTERM does')
    .description('Ends the bridge: it listens no more, and what is connected has some time to end. Waits for that.')
    .option(...CONTROL)
    .option(...PID)
    .option('--drain <seconds>', 'how long what is connected has to end (else --drain of the bridge)')
    .action(async (options: CtlOptions) => {
      await (await import('./ctl.js')).stopBridge(options);
    });
}

function addChange(ctl: Command, name: 'add' | 'remove', options: readonly Option[], summary: string): void {
  const command = ctl
    .command(name)
    .summary(summary)
    .description(`On a running bridge: ${summary}. As in: stp bridge ctl ${name} -L 5432:db:5432`);
  for (const option of options) command.addOption(option);
  command
    .option(...CONTROL)
    .option(...PID)
    .action(async (given: CtlChange) => {
      await (await import('./ctl.js')).changeForwards(name, given, options);
    });
}
