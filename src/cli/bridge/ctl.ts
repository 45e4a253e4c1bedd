/** `stp bridge ctl`: finds the bridge that is meant, asks it, and shows what it says. */
import net from 'node:net';
import path from 'node:path';
import { type Option } from 'commander';
import { CliFailure, ExitCode } from '../failure';
import { tableLines } from '../table';
import { type BridgeCommandOptions } from './command';
import { checkControlPath, type ControlSocket, controlDirectories, liveSockets } from './control-directory';
import {
  type BridgeReport,
  type ChangeReport,
  type ControlFailure,
  type ControlReply,
  type ControlRequest,
} from './control-protocol';

/** Which bridge is meant. */
export interface CtlOptions {
  readonly control?: string;
  readonly pid?: string;
  readonly json?: boolean;
  readonly drain?: string;
}

export type CtlChange = CtlOptions &
  Pick<BridgeCommandOptions, 'local' | 'remote' | 'socks' | 'http' | 'allow' | 'deny'>;

const ANSWER_TIMEOUT_MS = 30_000;
const REPLY_MAX_BYTES = 64 * 1_048_576;

/** `changeable`: the options that can be added and removed. */
export async function changeForwards(
  command: 'add' | 'remove',
  options: CtlChange,
  changeable: readonly Option[],
): Promise<void> {
  const values = options as unknown as Readonly<Record<string, readonly string[] | undefined>>;
  const lines = changeable.flatMap((option) =>
    (values[option.attributeName()] ?? []).map((value) => `${option.short ?? option.long ?? ''} ${value}`),
  );
  if (lines.length === 0)
    throw new CliFailure(`nothing to ${command}`, ExitCode.usage, `As in: stp bridge ctl ${command} -L 5432:db:5432`);
  const { forwards } = (await ask(await socketOf(options), { command, lines })) as ChangeReport;
  for (const { shown } of forwards) process.stdout.write(`${command === 'add' ? '' : 'removed: '}${shown}\n`);
}

export async function listForwards(options: CtlOptions): Promise<void> {
  const report = (await ask(await socketOf(options), { command: 'list' })) as BridgeReport;
  process.stdout.write(options.json === true ? `${JSON.stringify(report, null, 2)}\n` : textOf(report));
}

/** Resolves when the bridge has ended. */
export async function stopBridge(options: CtlOptions): Promise<void> {
  const request = { command: 'stop', ...(options.drain === undefined ? {} : { drain: options.drain }) } as const;
  await ask(await socketOf(options), request);
}

function textOf(report: BridgeReport): string {
  const { pid, uptimeMs, connections, forwards, allow, deny } = report;
  const rows = forwards.map((one) => [
    one.state,
    one.shown,
    ...[one.connections, one.accepted, one.refused, one.sentBytes, one.receivedBytes].map(String),
  ]);
  const right = (title: string): { title: string; align: 'right' } => ({ title, align: 'right' });
  const columns = [
    { title: 'State' },
    { title: 'Forward' },
    ...['Now', 'Accepted', 'Refused', 'Sent', 'Received'].map(right),
  ];
  return [
    `pid ${pid}, up ${Math.floor(uptimeMs / 1000)} s, connections: ${connections}`,
    ...[...allow.map((rule) => `--allow ${rule}`), ...deny.map((rule) => `--deny ${rule}`)],
    ...(rows.length === 0 ? ['no forwards'] : tableLines(columns, rows)),
    ...forwards.flatMap(({ shown, error }) => (error === undefined ? [] : [`${shown}: ${error}`])),
    '',
  ].join('\n');
}

/** The path of the control socket that is meant. */
async function socketOf({ control, pid }: CtlOptions): Promise<string> {
  if (control !== undefined) {
    if (pid !== undefined) throw new CliFailure('--control and --pid name one bridge each: give one', ExitCode.usage);
    checkControlPath(control);
    return path.resolve(control);
  }
  if (pid !== undefined && !/^\d{1,10}$/u.test(pid))
    throw new CliFailure(`--pid ${pid}: must be a process id`, ExitCode.usage);
  const live = await liveSockets(controlDirectories(process.env));
  const meant = pid === undefined ? live : live.filter((one) => one.pid === Number(pid));
  const [only, another] = meant;
  if (only === undefined)
    throw new CliFailure(
      pid === undefined ? 'no bridge of this user runs' : `no bridge of this user has the pid ${pid}`,
      ExitCode.failed,
      live.length === 0 ? 'One that was started with --control PATH is found by it.' : await shownBridges(live),
    );
  if (another !== undefined)
    throw new CliFailure('several bridges run; say which one with --pid', ExitCode.usage, await shownBridges(meant));
  return only.path;
}

/** Which bridges there are, for one line. */
async function shownBridges(sockets: readonly ControlSocket[]): Promise<string> {
  const shown = sockets.map(async ({ pid, path: socket }) => {
    try {
      const { forwards } = (await ask(socket, { command: 'list' })) as BridgeReport;
      return `pid ${pid}: ${forwards.length === 0 ? 'no forwards' : forwards.map((one) => one.shown).join(', ')}`;
    } catch {
      return `pid ${pid}: does not answer`;
    }
  });
  return (await Promise.all(shown)).join('; ');
}

/** Resolves with the answer; that of a stop when the bridge is gone. Rejects with what the bridge says is wrong. */
function ask(socket: string, request: ControlRequest): Promise<Exclude<ControlReply, ControlFailure>> {
  return new Promise((resolve, reject) => {
    const client = net.connect({ path: socket });
    let text = '';
    client.setEncoding('utf8');
    // A bridge that drains has its own time to end.
    if (request.command !== 'stop')
      client.setTimeout(ANSWER_TIMEOUT_MS, () => client.destroy(new Error('it does not answer')));
    client.on('error', (error: NodeJS.ErrnoException) => {
      const none = error.code === 'ECONNREFUSED' || error.code === 'ENOENT';
      reject(new CliFailure(`${socket}: ${none ? 'no bridge listens there' : error.message}`));
    });
    client.on('data', (chunk: string) => {
      text += chunk;
      if (text.length > REPLY_MAX_BYTES) client.destroy(new Error('its answer is too long'));
    });
    client.once('close', () => {
      const reply = parsed(text);
      if (reply === undefined) reject(new CliFailure(`${socket}: the bridge ended without an answer`));
      else if ('error' in reply) reject(new CliFailure(reply.error, reply.exitCode, reply.hint));
      else resolve(reply);
    });
    client.write(`${JSON.stringify(request)}\n`);
  });
}

function parsed(text: string): ControlReply | undefined {
  try {
    return JSON.parse(text) as ControlReply;
  } catch {
    return undefined;
  }
}
