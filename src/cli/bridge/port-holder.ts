/** Which process has the port or path of a forward that could not be opened. */
import fs from 'node:fs';
import path from 'node:path';
import { type Forward, shownForward, type TcpAddress } from '../../bridge';
import { StpError } from '../../errors';
import { inspectRegion, regionOptions, systemKey } from '../../region';
import { CliFailure, ExitCode } from '../failure';
import { boundUdpSockets, holderOfSocket, type ListeningSocket, listeningSockets } from './listening-sockets';

const ALL_ADDRESSES: readonly string[] = ['0.0.0.0', '::'];

/** `pid 12 (redis-server)`; undefined where it can't be seen. */
export function holderOf(forward: Forward): string | undefined {
  if (!('listen' in forward)) return holderInRegion(forward.port);
  const { listen } = forward;
  const sockets = forward.kind === 'local-udp' ? boundUdpSockets() : listeningSockets();
  const found = sockets.find((socket) => overlaps(socket, listen));
  const holder = found === undefined ? undefined : holderOfSocket(found.inode);
  if (holder === undefined) return undefined;
  return holder.pid === process.pid ? 'this bridge' : `pid ${holder.pid} (${holder.command})`;
}

function overlaps({ address }: ListeningSocket, wanted: TcpAddress): boolean {
  if ('path' in wanted) return 'path' in address && path.resolve(address.path) === path.resolve(wanted.path);
  if ('path' in address || address.port !== wanted.port) return false;
  return address.host === wanted.host || ALL_ADDRESSES.includes(address.host) || ALL_ADDRESSES.includes(wanted.host);
}

/** By the table of the region itself, as `stp ss` shows it. */
function holderInRegion(port: number): string | undefined {
  const { directory, system, group } = regionOptions(process.env);
  let snapshot: ReturnType<typeof inspectRegion>;
  try {
    snapshot = inspectRegion(directory);
  } catch {
    return undefined;
  }
  const found = snapshot.processes.find(
    ({ info, alive, bindings }) =>
      alive !== 'dead' &&
      systemKey(info.system) === systemKey(system) &&
      bindings.some(
        (binding) =>
          binding.state !== 'free' &&
          binding.group === group &&
          binding.port <= port &&
          port < binding.port + binding.count,
      ),
  );
  if (found === undefined) return undefined;
  const { pid, title } = found.info;
  return pid === process.pid ? 'this bridge' : `pid ${pid} (${title})`;
}

/** What to tell where a forward can't be opened. */
export function whyNotOpened(forward: Forward, error: unknown): Error {
  const { code, message } = error as NodeJS.ErrnoException;
  const what = shownForward(forward);
  if (code === 'EADDRINUSE') return inUse(forward, what);
  return error instanceof StpError ? error : new CliFailure(`${what}: ${message}`);
}

function inUse(forward: Forward, what: string): CliFailure {
  const thing = 'listen' in forward && 'path' in forward.listen ? 'path' : 'port';
  if ('listen' in forward && 'path' in forward.listen && isOtherFile(forward.listen.path))
    return new CliFailure(`${what}: the path is that of a file which is no socket`);
  const holder = holderOf(forward);
  if (holder !== undefined) return new CliFailure(`${what}: the ${thing} is in use by ${holder}`);
  const hint =
    'listen' in forward
      ? process.platform === 'linux'
        ? 'As root, ss -ltnp, ss -lunp or ss -lxp shows by which process.'
        : 'lsof -nP -i or lsof -U shows by which process.'
      : 'stp ss -l shows by which process.';
  return new CliFailure(
    `${what}: the ${thing} is in use by a process that can't be seen from here`,
    ExitCode.failed,
    hint,
  );
}

function isOtherFile(file: string): boolean {
  try {
    return !fs.lstatSync(file).isSocket();
  } catch {
    return false;
  }
}
