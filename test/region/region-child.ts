/**
 * A process of a region for tests: does what its parent tells it over the IPC channel, and ends with it.
 *
 * Requests are `{ id, op, args }`, answers `{ id, value }` or `{ id, error: { code, message } }`.
 */
import {
  type BindOptions,
  inspectRegion,
  Region,
  removeRegion,
  type RegionOptions,
  type RegionSetup,
} from '../../src/region';
import { StpError } from '../../src/errors';

export interface ChildRequest {
  readonly id: number;
  readonly op: string;
  readonly args: readonly unknown[];
}

export interface ChildAnswer {
  readonly id: number;
  readonly value?: unknown;
  readonly error?: { readonly code: string; readonly message: string };
}

const NO_IP = new Uint8Array(16);
let region: Region | undefined;

function need(): Region {
  if (region === undefined) throw new Error('no region is open');
  return region;
}

/** Starts of a race: all racers spin until the same moment, so that they collide. */
function waitUntil(atMs: number): void {
  while (Date.now() < atMs);
}

const operations: Record<string, (...args: never[]) => unknown> = {
  open(options: RegionOptions, setup: RegionSetup = {}, atMs = 0) {
    waitUntil(atMs);
    region = Region.open(options, setup);
    return { number: region.self.number, id: region.id, limits: region.limits, recovered: region.recovered };
  },
  close() {
    need().close();
  },
  setuid(uid: number) {
    process.setgroups?.([]);
    process.setgid?.(uid);
    process.setuid?.(uid);
  },
  bind(port: number, group: string, socket: number, atMs = 0, options: BindOptions = {}) {
    waitUntil(atMs);
    try {
      return need().bindings.bind(port, group, socket, options);
    } catch (error) {
      if (error instanceof StpError && error.code === 'EADDRINUSE') return -1;
      throw error;
    }
  },
  /** Binds and listens at each port that is free; how many they are. */
  bindMany(first: number, count: number, group: string, atMs = 0) {
    waitUntil(atMs);
    let bound = 0;
    for (let port = first; port < first + count; port += 1) {
      try {
        need().bindings.bind(port, group, port);
      } catch (error) {
        if (error instanceof StpError && error.code === 'EADDRINUSE') continue;
        throw error;
      }
      need().bindings.listen(port, group);
      bound += 1;
    }
    return bound;
  },
  listen(port: number, group: string, reach = '') {
    need().bindings.listen(port, group, reach);
  },
  unbind(port: number, group: string, reach = '') {
    need().bindings.unbind(port, group, reach);
  },
  ephemerals(count: number, group: string, atMs = 0) {
    waitUntil(atMs);
    return Array.from({ length: count }, () => need().bindings.ephemeral(group));
  },
  find(system: string, group: string, port: number, query: { ip?: string; sameNetwork?: boolean } = {}) {
    const found = need().bindings.findListener(system, group, port, query);
    return found === undefined ? null : { number: found.process.number, socket: found.socket };
  },
  /** Binds and unbinds without end; killed in the middle of it. */
  churn(port: number, group: string) {
    setImmediate(() => {
      for (;;) {
        try {
          need().bindings.unbind(need().bindings.bind(port, group, 1), group);
        } catch (error) {
          if (!(error instanceof StpError && error.code === 'EADDRINUSE')) throw error;
        }
      }
    });
  },
  sockets(count: number, state: number) {
    const { sockets, self } = need();
    for (let index = 0; index < count; index += 1) {
      sockets.allocate(index);
      sockets.set(index, {
        generation: 1,
        state,
        localPort: 1000 + (index % 60_000),
        remotePort: 0,
        peerProcess: 0,
        peerSocket: 0,
        peerGeneration: 0,
        backlog: 0,
        localGroup: self.group,
        remoteGroup: '',
        localSystem: self.system,
        remoteSystem: '',
        bytesReceived: index,
        bytesSent: 0,
        receiveQueuedBytes: 0,
        sendQueuedBytes: 0,
        changedAtMs: 1,
        localFamily: 0,
        remoteFamily: 0,
        localIp: NO_IP,
        remoteIp: NO_IP,
      });
    }
    sockets.flush();
  },
  processes() {
    return need()
      .processes()
      .map((info) => ({
        number: info.number,
        pid: info.pid,
        pidNamespace: info.pidNamespace,
        networkNamespace: info.networkNamespace,
        alive: need().isAlive(info),
      }));
  },
  recover(atMs = 0) {
    waitUntil(atMs);
    return need().recover(60_000);
  },
  inspect(directory: string) {
    return inspectRegion(directory);
  },
  reset(directory: string, atMs = 0) {
    waitUntil(atMs);
    return removeRegion(directory);
  },
};

process.on('disconnect', () => {
  process.exit(0);
});

process.on('message', ({ id, op, args }: ChildRequest) => {
  let answer: ChildAnswer;
  try {
    const operation = operations[op];
    if (operation === undefined) throw new Error(`no operation ${op}`);
    answer = { id, value: operation(...(args as never[])) };
  } catch (error) {
    const code = error instanceof StpError ? error.code : 'other';
    answer = { id, error: { code, message: error instanceof Error ? (error.stack ?? error.message) : String(error) } };
  }
  process.send?.(answer);
});

process.send?.({ id: 0 });
