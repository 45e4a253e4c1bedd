/**
 * Real applications in two processes, neither of which knows of us: natively, over STP where kernel TCP can't connect,
 * and with `auto` in every combination.
 */
import { spawn } from 'node:child_process';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { isDeepStrictEqual } from 'node:util';
import { projectRoot } from '../scripts/project-root';
import { CliFailure, ExitCode } from '../src/cli/failure';
import { tableLines } from '../src/cli/table';
import { loadNative, whyNoNative } from '../src/storage';
import { type HostLine, type HostOrder } from './application-host';
import { type Application, APPLICATIONS } from './application-list';
import { installPackages, prepared } from './application-packages';
import { type PairOutcome } from './application-pair';
import { NATIVE, type RunSetting, SETTINGS } from './application-settings';
import { command, say } from './cache';
import { hasNamespaces, inNamespace } from './namespace';
import { nodeBinary } from './node-binary';
import { type Section, type SectionOptions, type SectionResult } from './section';

/** What came of an application in a setting. */
export interface Verdict {
  readonly setting: RunSetting;
  readonly outcome: PairOutcome | undefined;
  /** Why it did not pass; empty where it did. */
  readonly wrong: readonly string[];
}

interface Row {
  readonly application: Application;
  readonly verdicts: readonly Verdict[];
}

export interface ApplicationSettings {
  /** Another version of Node to run them with. */
  readonly node: string | undefined;
  /** Names of settings; undefined: all. What TCP makes of the programs is always wanted. */
  readonly settings: readonly string[] | undefined;
}

/** The section, as the command line has set it. */
export function applicationSection({ node, settings }: ApplicationSettings): Section {
  const unknown = settings?.find((name) => !SETTINGS.some((each) => each.name === name));
  if (unknown !== undefined)
    throw new CliFailure(
      `--settings: there is no "${unknown}"`,
      ExitCode.usage,
      `Settings: ${SETTINGS.map(({ name }) => name).join(', ')}`,
    );
  return {
    name: 'applications',
    summary:
      `${APPLICATIONS.length} applications in two processes, natively ` +
      `and in ${SETTINGS.length - 1} ways under the hook`,
    run: (options) => run(options, node === undefined ? process.execPath : nodeBinary(options.cache, node), settings),
  };
}

async function run(
  options: SectionOptions,
  node: string,
  wanted: readonly string[] | undefined,
): Promise<SectionResult> {
  const applications = APPLICATIONS.filter(({ name }) => name.includes(options.filter ?? ''));
  if (applications.length === 0)
    throw new CliFailure(
      `no application has "${options.filter ?? ''}" in its name`,
      ExitCode.usage,
      `Applications: ${APPLICATIONS.map(({ name }) => name).join(', ')}`,
    );
  installPackages();
  const settings = settingsHere(wanted);
  const version = command(node, ['--version'], projectRoot(), '').trim();
  say(
    `applications: ${applications.length} under Node ${version} in ${settings.length} settings, ` +
      `${options.jobs} at a time, ${networkOf()}`,
  );
  const waiting = [...applications];
  const rows: Row[] = [];
  const work = async (): Promise<void> => {
    for (let application = waiting.pop(); application !== undefined; application = waiting.pop()) {
      rows.push(await runApplication(application, settings, options.limitMs, node));
      say(`  ${rows.length} of ${applications.length}: ${application.name}`);
    }
  };
  await Promise.all(Array.from({ length: options.jobs }, work));
  rows.sort((one, other) => applications.indexOf(one.application) - applications.indexOf(other.application));
  return tell(rows, settings, version);
}

function networkOf(): string {
  return hasNamespaces()
    ? 'kernel TCP blocked under STP_NET=stp'
    : 'without network namespaces: nothing counts what the kernel does, ' +
        'and STP_NET=stp alone keeps the programs from TCP';
}

/** What is wanted and this machine can do; what it can't is said. */
function settingsHere(names: readonly string[] | undefined): RunSetting[] {
  const wanted =
    names === undefined ? [...SETTINGS] : SETTINGS.filter((each) => each === NATIVE || names.includes(each.name));
  if (loadNative() !== undefined) return wanted;
  say(`applications: not over the driver mapped: ${whyNoNative()}`);
  return wanted.filter(({ driver }) => driver !== 'mapped');
}

/** Those that the application is run in. */
export function settingsOf({ settings: own }: Application, settings: readonly RunSetting[]): RunSetting[] {
  return settings.filter((setting) => setting === NATIVE || own === undefined || own.includes(setting.name));
}

async function runApplication(
  application: Application,
  settings: readonly RunSetting[],
  limitMs: number,
  node: string,
): Promise<Row> {
  const order: HostOrder = {
    application,
    settings: settingsOf(application, settings),
    limitMs,
    ownNetwork: hasNamespaces(),
    prepared: prepared(application),
  };
  const verdicts: Verdict[] = [];
  let native: PairOutcome | undefined;
  for await (const { setting: name, outcome } of hostLines(order, node)) {
    const setting = settings.find((each) => each.name === name);
    if (setting === undefined) throw new Error(`the host of ${application.name} tells of "${name}"`);
    if (setting === NATIVE) native = outcome;
    verdicts.push({
      setting,
      outcome,
      wrong: outcome === undefined ? [] : whatIsWrong(setting, outcome, native, application.callsItself),
    });
  }
  const { length } = order.settings;
  if (verdicts.length !== length)
    throw new CliFailure(`${application.name}: its host ended after ${verdicts.length} of ${length} settings`);
  return { application, verdicts };
}

/** The host starts programs with the Node that it runs under. */
async function* hostLines(order: HostOrder, node: string): AsyncGenerator<HostLine> {
  // With mounts of its own: some regions are small file systems.
  const prefix = hasNamespaces() ? [...inNamespace('own'), 'unshare', '--mount'] : [];
  const [program, ...args] = [...prefix, node, path.join(__dirname, 'application-host.js'), JSON.stringify(order)];
  const host = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const failed = new Promise<never>((_, reject) => host.once('error', reject));
  const lines = createInterface(host.stdout)[Symbol.asyncIterator]();
  try {
    for (;;) {
      const line: IteratorResult<string, unknown> = await Promise.race([lines.next(), failed]);
      if (line.done === true) return;
      yield JSON.parse(line.value) as HostLine;
    }
  } finally {
    host.kill();
  }
}

/** Everything that is not as the setting wants it; `native` is what TCP made of the same programs. */
export function whatIsWrong(
  setting: RunSetting,
  outcome: PairOutcome,
  native: PairOutcome | undefined,
  callsItself = false,
): string[] {
  if (outcome.failure !== '') return [outcome.failure];
  const wrong: string[] = [];
  if (!isDeepStrictEqual(outcome.result, native?.result))
    wrong.push(`the client told ${JSON.stringify(outcome.result)}, natively ${JSON.stringify(native?.result)}`);
  const other = setting.transport === 'stp' ? 'tcp' : 'stp';
  for (const side of ['client', 'server'] as const) {
    if (side === 'server' && callsItself && setting.transport === 'tcp') continue;
    const { [setting.transport]: right, [other]: not } = outcome[side];
    if (right === 0 || not > 0) wrong.push(`${side}: ${right} connections by ${setting.transport}, ${not} by ${other}`);
  }
  const reasons = outcome.reasons.filter((reason) => reason !== setting.reason);
  if (reasons.length > 0) wrong.push(`reasons ${reasons.join(', ')}, expected ${setting.reason ?? 'none'}`);
  // A server that calls itself while it is busy may find its own first contact late, and go by TCP as `auto` does.
  const own = callsItself && setting.blocked !== true;
  return [...wrong, ...(own ? [] : wrongInKernel(setting, outcome))];
}

function wrongInKernel({ transport, blocked }: RunSetting, { kernel }: PairOutcome): string[] {
  if (kernel === undefined) return [];
  const wrong: string[] = [];
  if (transport === 'tcp' && kernel.opens === 0) wrong.push('the kernel saw no TCP connection');
  if (transport === 'stp' && kernel.opens > 0) wrong.push(`the kernel opened ${kernel.opens} TCP connections`);
  if (blocked === true && kernel.unrouted > 0) wrong.push(`${kernel.unrouted} connects were tried by kernel TCP`);
  if (blocked === true && kernel.sockets > 0) wrong.push(`the kernel has ${kernel.sockets} TCP sockets`);
  return wrong;
}

function outcomeOf({ outcome, wrong }: Verdict): 'pass' | 'fail' | 'not run' {
  return outcome === undefined ? 'not run' : wrong.length === 0 ? 'pass' : 'fail';
}

function tell(rows: readonly Row[], settings: readonly RunSetting[], version: string): SectionResult {
  const table = rows.map(({ application, verdicts }) => [
    application.name,
    ...settings.map((setting) => cell(verdicts.find((verdict) => verdict.setting === setting))),
  ]);
  const lines = tableLines([{ title: 'application' }, ...settings.map(({ name }) => ({ title: name }))], table);
  const all = rows.flatMap(({ application, verdicts }) => verdicts.map((verdict) => ({ application, verdict })));
  const passed = all.filter(({ verdict }) => outcomeOf(verdict) === 'pass').length;
  const overStp = all.flatMap(({ verdict }) =>
    verdict.setting.blocked === true && verdict.outcome !== undefined ? [verdict.outcome] : [],
  );
  const kernel = overStp.every((each) => each.kernel !== undefined)
    ? `${overStp.reduce((sum, each) => sum + (each.kernel?.opens ?? 0) + (each.kernel?.unrouted ?? 0), 0)} ` +
      `connects and ${overStp.reduce((sum, each) => sum + (each.kernel?.sockets ?? 0), 0)} sockets of kernel TCP`
    : 'kernel TCP not counted';
  lines.push(
    '',
    'Each cell: the connections of the client, and by what they went.',
    `${passed} of ${all.length} passed under Node ${version}; under STP_NET=stp: ` +
      `${overStp.reduce((sum, each) => sum + each.client.stp, 0)} connections over STP, ${kernel}`,
    `network: ${networkOf()}`,
  );
  for (const { application, verdict } of all) {
    if (verdict.outcome === undefined)
      lines.push(`not run: ${application.name}, ${verdict.setting.name}: it needs mounts of its own`);
    for (const wrong of verdict.wrong) lines.push(`FAILED: ${application.name}, ${verdict.setting.name}: ${wrong}`);
  }
  process.stdout.write(`${lines.join('\n')}\n`);
  return { ok: all.every(({ verdict }) => verdict.wrong.length === 0), data: record(rows, version) };
}

/** Empty where the application is not run in the setting. */
function cell(verdict: Verdict | undefined): string {
  if (verdict === undefined) return '';
  const { outcome } = verdict;
  if (outcome === undefined) return '-';
  const { stp, tcp } = outcome.client;
  const by = [stp > 0 ? `${stp} stp` : '', tcp > 0 ? `${tcp} tcp` : ''].filter((text) => text !== '').join(' ');
  return verdict.wrong.length === 0 ? by : `FAIL ${by}`.trim();
}

/** For documents: no counts that differ from run to run, but those that must be 0. */
function record(rows: readonly Row[], version: string): unknown {
  return {
    node: version.replace('v', ''),
    namespaces: hasNamespaces(),
    applications: rows.map(({ application, verdicts }) => ({
      name: application.name,
      about: application.about,
      runs: verdicts.map((verdict) => ({
        setting: verdict.setting.name,
        outcome: outcomeOf(verdict),
        transport: verdict.setting.transport,
        ...(verdict.setting.transport === 'stp' && verdict.outcome?.kernel !== undefined
          ? {
              kernelTcpConnects:
                verdict.outcome.kernel.opens + (verdict.setting.blocked === true ? verdict.outcome.kernel.unrouted : 0),
            }
          : {}),
      })),
    })),
  };
}
