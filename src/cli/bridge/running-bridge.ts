/**
 * A bridge while it runs: its forwards, rules and settings, and how a reload of the config file or `stp bridge ctl`
 * changes them. Changes are made one after another.
 *
 * Invariant: a change is checked whole before any of it is made. What is wrong leaves all as it was.
 */
import { isDeepStrictEqual } from 'node:util';
import { Bridge, type Forward, ForwardSet, type ForwardStatus, sameListener, shownForward } from '../../bridge';
import { CliFailure, ExitCode } from '../failure';
import { type BridgeCommandOptions } from './command';
import { joinedOptions, readConfig } from './config-file';
import { forwardOf, type Item, itemOf, itemsOf, missingIn, takeOut, withItems } from './items';
import { type OptionLine, type OptionLines } from './option-lines';
import { secondsOf, settingsOf } from './options';
import { holderOf, whyNotOpened } from './port-holder';
import { type Tell } from './tell';

/** Options that a running bridge can't change. */
const FIXED = ['region', 'driver', 'system', 'group', 'pidFile', 'json', 'verbose'] as const;

export interface BridgeStart {
  /** Of the command line alone. */
  readonly given: BridgeCommandOptions;
  readonly isGiven: (name: string) => boolean;
  /** Of the config file. */
  readonly lines: readonly OptionLine[];
  readonly parser: OptionLines;
  readonly tell: Tell;
  /** The inherited socket that listens where this forward does. */
  readonly inherited: (forward: Forward) => number | undefined;
}

export class RunningBridge {
  readonly #start: BridgeStart;
  readonly #tell: Tell;
  readonly #bridge: Bridge;
  readonly #forwards: ForwardSet;
  #options: BridgeCommandOptions;
  #items: Item[];
  /** All of the file, also what `ctl` has removed. */
  #fileItems: readonly Item[];
  #turn: Promise<unknown> = Promise.resolve();

  constructor(start: BridgeStart) {
    const { given, isGiven, lines, parser, tell } = start;
    this.#start = start;
    this.#tell = tell;
    this.#fileItems = this.#itemsOfFile(lines);
    this.#items = [...itemsOf(given, parser.repeatable, 'command line'), ...this.#fileItems];
    this.#options = joinedOptions(given, isGiven, lines);
    this.#bridge = new Bridge(settingsOf(this.#options), {
      closed: ({ from, to, sentBytes, receivedBytes, droppedDatagrams }) => {
        const dropped = droppedDatagrams === undefined ? '' : `, ${droppedDatagrams} datagrams dropped`;
        const text = `${from} -> ${to}: ${sentBytes} bytes there, ${receivedBytes} back${dropped}`;
        tell('closed', text, { from, to, sentBytes, receivedBytes, droppedDatagrams });
      },
      failed: ({ from, to, error, count = 1 }) => {
        const times = count === 1 ? '' : `, ${count} times`;
        const facts = { from, to, error: error.message, code: codeOf(error), count };
        tell('failed', `${from} -> ${to}: ${error.message}${times}`, facts);
      },
    });
    this.#forwards = new ForwardSet(this.#bridge, {
      listening: (forward) => {
        tell('listening', shownForward(forward), { forward });
      },
      lost: (forward) => {
        const holder = holderOf(forward);
        const why = holder === undefined ? 'the region took it for dead' : `${holder} has the port now`;
        tell('lost', `${shownForward(forward)}: ${why}; it is tried again`, { forward, holder });
      },
    });
  }

  get options(): BridgeCommandOptions {
    return this.#options;
  }

  get connections(): number {
    return this.#bridge.connections;
  }

  /** True while a forward does not listen. */
  get isPartial(): boolean {
    return this.#forwards.all.some(({ open }) => open === undefined);
  }

  /** Opens all forwards, or none: rejects with why one can't be opened. */
  async open(): Promise<void> {
    for (const item of this.#items) {
      const forward = this.#forwardOf(item);
      if (forward === undefined) continue;
      try {
        item.held = await this.#forwards.open(forward, this.#start.inherited(forward));
      } catch (error) {
        const why = whyNotOpened(forward, error);
        this.#forwards.close();
        throw why;
      }
    }
  }

  /** Takes the config file as it is now. Rejects with what is wrong in it, and then nothing has changed. */
  reload(file: string): Promise<void> {
    return this.#inTurn(async () => {
      const { given, isGiven, parser } = this.#start;
      const lines = readConfig(file, parser);
      const fileItems = this.#itemsOfFile(lines);
      const added = missingIn(this.#fileItems, fileItems);
      const items = [...this.#items];
      const removed = takeOut(items, missingIn(fileItems, this.#fileItems));
      items.push(...added);
      const options = joinedOptions(given, isGiven, lines);
      const settings = settingsOf(withItems(options, parser.repeatable, items));
      secondsOf('--drain', options.drain, 0);
      this.#options = this.#keepFixed(options, file);
      this.#items = items;
      this.#fileItems = fileItems;
      this.#bridge.configure(settings);
      await this.#change(removed, added, file);
      this.#tell('config', `${file}: ${added.length} added, ${removed.length} removed`, {
        file,
        added: added.length,
        removed: removed.length,
      });
    });
  }

  #keepFixed(options: BridgeCommandOptions, file: string): BridgeCommandOptions {
    const before = this.#options as unknown as Record<string, unknown>;
    const kept: Record<string, unknown> = { ...options };
    for (const name of FIXED) {
      if (isDeepStrictEqual(kept[name], before[name])) continue;
      kept[name] = before[name];
      const option = `--${name.replaceAll(/[A-Z]/gu, (letter) => `-${letter.toLowerCase()}`)}`;
      const error = `${option} can't change while the bridge runs; start it again for that`;
      this.#tell('config', `${file}: ${error}`, { file, error });
    }
    return kept as unknown as BridgeCommandOptions;
  }

  /** Where a new forward has the listener of one that goes, the listener stays. */
  async #change(removed: readonly Item[], added: readonly Item[], file: string): Promise<void> {
    const going = removed.filter(({ held }) => held !== undefined);
    const coming: [Item, Forward][] = [];
    for (const item of added) {
      const forward = this.#forwardOf(item);
      if (forward === undefined) continue;
      const at = going.findIndex(({ held }) => held !== undefined && sameListener(held.wanted, forward));
      const held = at < 0 ? undefined : going.splice(at, 1)[0]?.held;
      if (held === undefined) coming.push([item, forward]);
      else {
        item.held = held;
        this.#forwards.retarget(held, forward);
        if (held.open !== undefined) this.#tell('listening', shownForward(held.forward), { forward: held.forward });
      }
    }
    for (const item of going) this.#close(item);
    for (const [item, forward] of coming) {
      item.held = await this.#forwards.openInTime(forward);
      const { error } = item.held.status;
      if (error === undefined) continue;
      const why = `${whyNotOpened(forward, error).message}; it is tried again`;
      this.#tell('config', `${file}: ${why}`, { file, error: why });
    }
  }

  #close({ held }: Item): void {
    if (held === undefined) return;
    this.#forwards.remove(held);
    this.#tell('removed', shownForward(held.forward), { forward: held.forward });
  }

  /** Adds forwards and rules, all of them or none. Resolves with the new forwards, with their real ports. */
  add(texts: readonly string[]): Promise<Forward[]> {
    return this.#inTurn(async () => {
      const items = this.#parsed(texts);
      const settings = this.#settingsWith([...this.#items, ...items]);
      try {
        for (const item of items) {
          const forward = this.#forwardOf(item);
          if (forward === undefined) continue;
          try {
            item.held = await this.#forwards.open(forward);
          } catch (error) {
            throw whyNotOpened(forward, error);
          }
        }
      } catch (error) {
        for (const item of items) this.#close(item);
        throw error;
      }
      this.#items.push(...items);
      this.#bridge.configure(settings);
      return items.flatMap(({ held }) => (held === undefined ? [] : [held.forward]));
    });
  }

  /** Removes forwards and rules, all of them or none. A reload does not bring them back. */
  remove(texts: readonly string[]): Promise<Forward[]> {
    return this.#inTurn(() => {
      const left = [...this.#items];
      const found = this.#parsed(texts).map((wanted, at) => {
        const place = left.findIndex((item) => this.#isMeant(item, wanted));
        const [item] = place < 0 ? [] : left.splice(place, 1);
        if (item !== undefined) return item;
        throw new CliFailure(`${texts[at] ?? ''}: there is none like it`, ExitCode.failed, 'stp bridge ctl list');
      });
      const allowed = (items: readonly Item[]): boolean => items.some(({ name }) => name === 'allow');
      if (allowed(found) && !allowed(left))
        throw new CliFailure('without its last --allow the bridge would allow all targets; add another one first');
      const settings = this.#settingsWith(left);
      this.#items = left;
      this.#bridge.configure(settings);
      for (const item of found) this.#close(item);
      return Promise.resolve(found.flatMap(({ held }) => (held === undefined ? [] : [held.forward])));
    });
  }

  /** As it was asked for, or with the port that was chosen. */
  #isMeant(item: Item, wanted: Item): boolean {
    if (item.name !== wanted.name) return false;
    if (item.value === wanted.value) return true;
    const forward = this.#forwardOf(wanted);
    return isDeepStrictEqual(forward, item.held?.wanted) || isDeepStrictEqual(forward, item.held?.forward);
  }

  get statuses(): readonly ForwardStatus[] {
    return this.#forwards.all.map(({ status }) => status);
  }

  rules(name: 'allow' | 'deny'): readonly string[] {
    return this.#items.filter((item) => item.name === name).map(({ value }) => value);
  }

  #parsed(texts: readonly string[]): Item[] {
    const { parser } = this.#start;
    return texts.map((text) => {
      const line = parser.parse(text, 'ctl');
      if (!parser.isRepeatable(line.name))
        throw new CliFailure(`${text}: only forwards and rules can change in this way`, ExitCode.usage);
      return itemOf(line, 'ctl');
    });
  }

  #settingsWith(items: readonly Item[]): ReturnType<typeof settingsOf> {
    return settingsOf(withItems(this.#options, this.#start.parser.repeatable, items));
  }

  #itemsOfFile(lines: readonly OptionLine[]): Item[] {
    const { parser } = this.#start;
    return lines.filter(({ name }) => parser.isRepeatable(name)).map((line) => itemOf(line, 'file'));
  }

  #forwardOf(item: Item): Forward | undefined {
    return forwardOf(item, this.#start.parser.defaults);
  }

  #inTurn<T>(act: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(act);
    this.#turn = done.catch(() => undefined);
    return done;
  }

  /** Listens no more. Resolves when the last connection has ended. */
  async drain(): Promise<void> {
    this.#forwards.close();
    // What a change that is under way opens is closed as well.
    await this.#turn;
    this.#forwards.close();
    await this.#bridge.drain();
  }

  /** Resets all that is left. */
  abort(): void {
    this.#bridge.abort();
  }
}

function codeOf(error: Error): string {
  return (error as NodeJS.ErrnoException).code ?? 'EIO';
}
