/**
 * Which targets a bridge may connect to: `--allow` and `--deny`, each `name:port`, where the name may be `*` or begin
 * with `*.` and the port may be `*` or a range. What is denied is denied; where there is an --allow, all else is.
 */
import { StpError } from '../errors';
import { partsOf, PORT_MAX, portOf, wrongAddress } from './address';

export interface Target {
  /** A name or an IP address. */
  readonly host: string;
  readonly port: number;
}

interface Rule {
  readonly host: string;
  readonly firstPort: number;
  readonly lastPort: number;
}

function ruleOf(option: string, value: string): Rule {
  const parts = partsOf(option, value);
  const [host = '', ports = ''] = parts;
  if (parts.length !== 2 || host === '') throw wrongAddress(option, value, 'name:port is wanted; * stands for any');
  if (host.includes('*') && host !== '*' && !/^\*\.[^*]+$/u.test(host))
    throw wrongAddress(option, value, '* is a name of its own, or its first part as in *.example');
  if (ports === '*') return { host: host.toLowerCase(), firstPort: 1, lastPort: PORT_MAX };
  const [first = '', last = first] = ports.split('-', 2);
  const rule = {
    host: host.toLowerCase(),
    firstPort: portOf(option, value, first, 1),
    lastPort: portOf(option, value, last, 1),
  };
  if (rule.firstPort > rule.lastPort) throw wrongAddress(option, value, 'the first port of a range is the lower one');
  return rule;
}

function matches(rule: Rule, host: string, port: number): boolean {
  if (port < rule.firstPort || port > rule.lastPort) return false;
  return rule.host === '*' || rule.host === host || (rule.host.startsWith('*.') && host.endsWith(rule.host.slice(1)));
}

export class TargetRules {
  readonly #allowed: readonly Rule[];
  readonly #denied: readonly Rule[];

  /** Throws ESTPCONFIG for a rule that is wrong. */
  constructor(allow: readonly string[], deny: readonly string[]) {
    this.#allowed = allow.map((value) => ruleOf('--allow', value));
    this.#denied = deny.map((value) => ruleOf('--deny', value));
  }

  /** Throws EACCES where the target is not allowed. `names`: all that the target is called. */
  check(port: number, names: readonly string[]): void {
    const matching = (rule: Rule): boolean => names.some((name) => matches(rule, name.toLowerCase(), port));
    if (this.#denied.some(matching) || (this.#allowed.length > 0 && !this.#allowed.some(matching)))
      throw new StpError('EACCES', `${names[0] ?? ''}:${port} is not allowed`, 'connect');
  }
}
