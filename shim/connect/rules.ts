/**
 * STP_RULES: which addresses go by STP, by TCP, or by whichever has a listener. The first rule that matches counts.
 *
 *   rules   = rule *( ";" rule )          rule = ACTION " " pattern
 *   ACTION  = "stp" | "tcp" | "auto"      pattern = "*" | host | ":" ports | host ":" ports
 *   ports   = "*" | N | N "-" M           host = a name or address in which "*" stands for any text; IPv6 in brackets
 *
 * Hosts are compared as the program writes them, without case; a program that names none means `localhost`, a server
 * without one `::`.
 */
import { configurationError } from '../configuration';

export type RuleAction = 'stp' | 'tcp' | 'auto';

export interface Rule {
  readonly action: RuleAction;
  /** Undefined: any host. */
  readonly host: RegExp | undefined;
  readonly portMin: number;
  readonly portMax: number;
}

const ACTIONS: readonly string[] = ['stp', 'tcp', 'auto'];
const PORT_MAX = 65_535;
const HOST = /^[a-z0-9._*-]+$/iu;
const BRACKETED = /^\[[0-9a-f:.*]+\]$/iu;

/** Parses the text of STP_RULES; ESTPCONFIG tells what is wrong and in which column. */
export function parseRules(text: string): Rule[] {
  const rules: Rule[] = [];
  let column = 1;
  for (const part of text.split(';')) {
    const rule = parseRule(part, column);
    if (rule !== undefined) rules.push(rule);
    column += part.length + 1;
  }
  return rules;
}

function fail(column: number, what: string): never {
  throw configurationError(`STP_RULES, column ${column}: ${what}`);
}

function shown(text: string): string {
  return JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}...` : text);
}

function parseRule(text: string, column: number): Rule | undefined {
  const trimmed = text.trim();
  if (trimmed === '') return undefined;
  const start = column + text.indexOf(trimmed);
  const words = /^(\S+)(?:(\s+)(\S.*))?$/su.exec(trimmed);
  const [, action = '', gap = '', pattern] = words ?? [];
  if (!ACTIONS.includes(action)) fail(start, `${shown(action)} must be 'stp', 'tcp' or 'auto'`);
  if (pattern === undefined)
    fail(
      start + action.length,
      `'${action}' needs a pattern, such as 'localhost', '*.example.com:443', ':3000-3999' or '*'`,
    );
  return { action: action as RuleAction, ...parsePattern(pattern, start + action.length + gap.length) };
}

function parsePattern(pattern: string, column: number): Omit<Rule, 'action'> {
  const space = pattern.search(/\s/u);
  if (space >= 0) fail(column + space, 'one pattern for each rule; rules are separated by semicolons');
  const colon = pattern.startsWith('[')
    ? pattern.indexOf(':', Math.max(0, pattern.indexOf(']')))
    : pattern.indexOf(':');
  const host = colon < 0 ? pattern : pattern.slice(0, colon);
  if (host !== '' && !HOST.test(host) && !BRACKETED.test(host))
    fail(column, `${shown(host)} is no host name, address or pattern of one`);
  const ports =
    colon < 0 ? { portMin: 0, portMax: PORT_MAX } : parsePorts(pattern.slice(colon + 1), column + colon + 1);
  return { host: hostPattern(host), ...ports };
}

function parsePorts(text: string, column: number): Pick<Rule, 'portMin' | 'portMax'> {
  if (text === '*') return { portMin: 0, portMax: PORT_MAX };
  const [, first = '', last = first] = /^(\d{1,5})(?:-(\d{1,5}))?$/u.exec(text) ?? [];
  const portMin = Number(first);
  const portMax = Number(last);
  if (first === '' || portMax > PORT_MAX)
    fail(
      column,
      `${shown(text)} must be a port from 0 to ${PORT_MAX}, a range of them, ` +
        `or '*' (an IPv6 address stands in brackets)`,
    );
  if (portMin > portMax) fail(column, `the range ${text} ends before it begins`);
  return { portMin, portMax };
}

function hostPattern(host: string): RegExp | undefined {
  if (host === '' || host === '*') return undefined;
  const bare = host.startsWith('[') ? host.slice(1, -1) : host;
  const literals = bare.split('*').map((part) => part.replace(/[.\\^$+?()[\]{}|]/gu, '\\$&'));
  return new RegExp(`^${literals.join('.*')}$`, 'iu');
}

/** The action of the first rule that fits, or undefined. */
export function matchRules(rules: readonly Rule[], host: string, port: number): RuleAction | undefined {
  return rules.find((rule) => port >= rule.portMin && port <= rule.portMax && (rule.host?.test(host) ?? true))?.action;
}
