/** What a bridge tells while it runs: lines for people, or one JSON document for each event. */
import { type BridgeCommandOptions } from './command';

export type Tell = (event: string, text: string, facts: object) => void;

/** They are told in any case; connections only where that is asked for. */
const ALWAYS: readonly string[] = ['lost', 'config', 'removed', 'warning'];

/** Where it listens goes to standard output, all else to standard error. */
export function teller({ json, verbose }: BridgeCommandOptions): Tell {
  return (event, text, facts) => {
    if (json === true) process.stdout.write(`${JSON.stringify({ event, ...facts })}\n`);
    else if (event === 'listening') process.stdout.write(`${text}\n`);
    else if (verbose === true || ALWAYS.includes(event)) process.stderr.write(`stp bridge: ${event}: ${text}\n`);
  };
}
