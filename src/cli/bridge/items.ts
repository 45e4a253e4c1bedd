/**
 * The forwards and rules of a running bridge, each with where it comes from: a reload changes those of the file, and
 * leaves the others alone.
 */
import { type Forward, type HeldForward } from '../../bridge';
import { type BridgeCommandOptions } from './command';
import { type OptionLine } from './option-lines';
import { forwardsOf } from './options';

export type Origin = 'command line' | 'file' | 'ctl';

export interface Item {
  /** The property of its option in BridgeCommandOptions. */
  readonly name: string;
  readonly value: string;
  readonly origin: Origin;
  /** Of a forward, once it was opened. */
  held?: HeldForward;
}

export function itemOf({ name, value }: OptionLine, origin: Origin): Item {
  return { name, value: String(value), origin };
}

/** All of the command line. `names`: the options that can be repeated. */
export function itemsOf(options: BridgeCommandOptions, names: readonly string[], origin: Origin): Item[] {
  const values = options as unknown as Readonly<Record<string, readonly string[]>>;
  return names.flatMap((name) => (values[name] ?? []).map((value) => ({ name, value, origin })));
}

/** The options with these items, and no others, in the place of those that can be repeated. */
export function withItems(
  options: BridgeCommandOptions,
  names: readonly string[],
  items: readonly Item[],
): BridgeCommandOptions {
  const lists = names.map((name) => [name, items.filter((item) => item.name === name).map(({ value }) => value)]);
  return { ...options, ...(Object.fromEntries(lists) as object) };
}

/** The forward that an item stands for; undefined for a rule. `none`: options without any forward. */
export function forwardOf(item: Pick<Item, 'name' | 'value'>, none: BridgeCommandOptions): Forward | undefined {
  return forwardsOf({ ...none, [item.name]: [item.value] })[0];
}

function isSame(a: Item, b: Item): boolean {
  return a.name === b.name && a.value === b.value;
}

/** The items of `all` that are not in `others`, each as often as it is there more often. */
export function missingIn(others: readonly Item[], all: readonly Item[]): Item[] {
  const rest = [...others];
  return all.filter((item) => {
    const at = rest.findIndex((other) => isSame(other, item));
    if (at >= 0) rest.splice(at, 1);
    return at < 0;
  });
}

/** Takes one item like each of `wanted` from the list; which ones there were. */
export function takeOut(list: Item[], wanted: readonly Item[]): Item[] {
  return wanted.flatMap((one) => {
    const at = list.findIndex((item) => item.origin === one.origin && isSame(item, one));
    return at < 0 ? [] : list.splice(at, 1);
  });
}
