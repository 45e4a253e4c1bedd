/** A port belongs to an address, by the rules of Linux: compared with real TCP on loopback. */
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import t from 'tap';
import { Binding, BindingsHead, BindingState, BLOCK_BYTES, ipBytes, PROCESS_BLOCKS, reachOf } from '../../src/layout';
import { inspectRegion, type Machine, type Region } from '../../src/region';
import { machine } from '../../src/region/machine';
import { sealBlock } from '../../src/storage/block-file';
import { SimulatedDisk, SimulatedStorage } from '../../src/storage/simulated-storage';
import { codeOf, needsUnshare, openRegion, optionsFor, RegionChild } from './kit';

interface Host {
  readonly host: string;
  readonly ipv6Only: boolean;
}

const HOSTS: readonly Host[] = [
  ...['127.0.0.1', '127.0.0.2', '::1', '0.0.0.0', '::'].map((host) => ({ host, ipv6Only: false })),
  { host: '::', ipv6Only: true },
];
const CALLED = ['127.0.0.1', '127.0.0.2', '::1'];
const PORT = 4000;
const hasIpv6 = Object.values(os.networkInterfaces())
  .flat()
  .some((known) => known?.address === '::1');
const whyNot = process.platform !== 'linux' ? 'the rules are those of Linux' : hasIpv6 ? false : 'needs IPv6';

function nameOf({ host, ipv6Only }: Host): string {
  return ipv6Only ? `${host} (IPv6 only)` : host;
}

/** A server that listens, or the code of its error. */
async function listen({ host, ipv6Only }: Host, port: number): Promise<net.Server | string> {
  const server = net.createServer((socket) => {
    socket.end(String(server.address() === null)).on('error', () => undefined);
  });
  const outcome = await new Promise<net.Server | string>((resolve) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      resolve(error.code ?? '');
    });
    server.listen({ host, port, ipv6Only }, () => {
      resolve(server);
    });
  });
  return outcome;
}

function portOf(server: net.Server): number {
  return (server.address() as net.AddressInfo).port;
}

/** A port at which only `first` listens; no other program may have a part of it. */
async function listenAlone(first: Host): Promise<net.Server> {
  for (;;) {
    const all = await listen({ host: '::', ipv6Only: false }, 0);
    if (typeof all === 'string') throw new Error(`:: can't be bound: ${all}`);
    const port = portOf(all);
    all.close();
    await once(all, 'close');
    const server = await listen(first, port);
    if (typeof server !== 'string') return server;
  }
}

async function answers(host: string, port: number): Promise<boolean> {
  const socket = net.connect({ host, port });
  return new Promise((resolve) => {
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => {
      resolve(false);
    });
  });
}

/** What the region has for a second socket of the port, of the same process or of another one. */
function bindBoth(one: Region, other: Region, first: Host, second: Host): string {
  const [a, b] = [reachOf(first.host, first.ipv6Only), reachOf(second.host, second.ipv6Only)];
  one.bindings.bind(PORT, 'STG', 1, { reach: a });
  const code = codeOf(() => other.bindings.bind(PORT, 'STG', 2, { reach: b }));
  if (code === 'none') other.bindings.unbind(PORT, 'STG', b);
  one.bindings.unbind(PORT, 'STG', a);
  return code === 'none' ? 'both' : code;
}

void t.test("two sockets of a port are in each other's way where TCP on Linux says so", { skip: whyNot }, async (t) => {
  const options = optionsFor(t);
  const [one, other] = [openRegion(t, options), openRegion(t, options)];
  for (const first of HOSTS) {
    for (const second of HOSTS) {
      const server = await listenAlone(first);
      const outcome = await listen(second, portOf(server));
      if (typeof outcome !== 'string') outcome.close();
      server.close();
      const tcp = typeof outcome === 'string' ? outcome : 'both';
      t.equal(bindBoth(one, other, first, second), tcp, `${nameOf(first)}, then ${nameOf(second)}: ${tcp}`);
      t.equal(bindBoth(one, one, first, second), tcp, 'also in one process');
    }
  }
});

void t.test(
  'a listener is found at the addresses at which TCP reaches it, in its own process and in others',
  { skip: whyNot },
  async (t) => {
    const options = optionsFor(t);
    const [one, other] = [openRegion(t, options), openRegion(t, options)];
    for (const host of HOSTS) {
      const server = await listenAlone(host);
      const reach = reachOf(host.host, host.ipv6Only);
      one.bindings.bind(PORT, 'STG', 1, { reach });
      one.bindings.listen(PORT, 'STG', reach);
      for (const ip of CALLED) {
        const tcp = await answers(ip, portOf(server));
        for (const region of [one, other])
          t.equal(
            region.bindings.seeListener('here', 'STG', PORT, { ip }) !== undefined,
            tcp,
            `${nameOf(host)}, called at ${ip}: ${tcp}`,
          );
      }
      t.ok(other.bindings.seeListener('here', 'STG', PORT), 'who names no address finds it in any case');
      one.bindings.unbind(PORT, 'STG', reach);
      server.close();
    }
  },
);

void t.test(
  'sockets of one number each have their own clients, and who names no address finds one of them',
  async (t) => {
    const options = optionsFor(t);
    const region = openRegion(t, options);
    const other = openRegion(t, options);
    const child = await RegionChild.one(t);
    await child.call('open', options);
    const reaches = ['127.0.0.1', '127.0.0.2', '::'];
    for (const [i, reach] of reaches.entries()) {
      const owner = i === 2 ? other : region;
      owner.bindings.bind(PORT, 'STG', 10 + i, { reach });
      owner.bindings.listen(PORT, 'STG', reach);
    }
    for (const [i, ip] of ['127.0.0.1', '127.0.0.2', '::1'].entries()) {
      t.match(await child.call('find', 'here', 'STG', PORT, { ip }), { socket: 10 + i }, ip);
      t.equal(
        region.bindings.findListener('here', 'STG', PORT, { ip })?.socket,
        10 + i,
        `${ip}, from the process of two of them`,
      );
    }
    t.equal(await child.call('find', 'here', 'STG', PORT, { ip: '127.0.0.3' }), null);
    t.ok(await child.call('find', 'here', 'STG', PORT));
    region.bindings.unbind(PORT, 'STG', '127.0.0.1');
    t.equal(await child.call('find', 'here', 'STG', PORT, { ip: '127.0.0.1' }), null);
    t.match(await child.call('find', 'here', 'STG', PORT, { ip: '127.0.0.2' }), { socket: 11 }, 'the other stays');
    t.same(
      region.bindings.ports('here', 'STG').map(({ reach, socket }) => [reach, socket]),
      [
        ['127.0.0.2', 11],
        ['::', 12],
      ],
    );
    t.equal(
      codeOf(() => {
        region.bindings.listen(PORT, 'STG', '127.0.0.1');
      }),
      'EINVAL',
    );
  },
);

void t.test('a shared port is found in turn among those that are closest to the address', (t) => {
  const options = optionsFor(t);
  const regions = Array.from({ length: 4 }, () => openRegion(t, options));
  const client = openRegion(t, options);
  const reaches = ['', '0.0.0.0', '127.0.0.1', '127.0.0.1'];
  for (const [i, { bindings }] of regions.entries()) {
    const reach = reaches[i] ?? '';
    bindings.bind(PORT, 'STG', i, { shared: true, reach });
    bindings.listen(PORT, 'STG', reach);
  }
  const found = (ip: string): (number | undefined)[] =>
    Array.from({ length: 4 }, () => client.bindings.findListener('here', 'STG', PORT, { ip })?.socket).sort();
  t.same(found('127.0.0.1'), [2, 2, 3, 3], 'the address itself');
  t.same(found('127.0.0.2'), [1, 1, 1, 1], 'then what covers its family');
  t.same(found('::1'), [0, 0, 0, 0], 'then what covers both');
  t.same(found(''), [0, 1, 2, 3], 'where none was named all are as good');
  t.equal(
    codeOf(() => client.bindings.bind(PORT, 'STG', 9, { reach: '127.0.0.1' })),
    'EADDRINUSE',
    'who does not share it',
  );
  t.equal(
    codeOf(() => client.bindings.bind(PORT, 'STG', 9, { reach: '127.0.0.9' })),
    'EADDRINUSE',
    'nor does who shares with a wildcard',
  );
  t.equal(
    codeOf(() => regions[2]?.bindings.bind(PORT, 'STG', 9, { shared: true, reach: '127.0.0.1' })),
    'EADDRINUSE',
    'a process has each address once',
  );
  t.end();
});

void t.test("a chosen port is nobody else's, and stays out of its range while a socket of any address has it", (t) => {
  const options = optionsFor(t);
  const region = openRegion(t, options);
  const port = region.bindings.bind(0, 'STG', 1, { reach: '127.0.0.1' });
  t.equal(region.bindings.bind(port, 'STG', 2, { reach: '::1' }), port);
  region.bindings.unbind(port, 'STG', '127.0.0.1');
  const taken = Array.from({ length: 300 }, () => region.bindings.ephemeral('STG'));
  t.notOk(taken.includes(port));
  region.bindings.unbind(port, 'STG', '::1');
  for (const one of taken) region.bindings.releaseEphemeral(one, 'STG');
  const again = Array.from({ length: 300 }, () => region.bindings.ephemeral('STG'));
  t.ok(again.includes(port), 'then it is given out again');
  t.end();
});

void t.test("a table with an impossible address is damaged, and its process is nobody's rival", (t) => {
  const options = optionsFor(t);
  const region = openRegion(t, options);
  const bad: readonly { family: number; ip: Uint8Array }[] = [
    { family: 5, ip: new Uint8Array(16) },
    { family: 0, ip: ipBytes('127.0.0.1').bytes },
    { family: 4, ip: ipBytes('fd00::1').bytes },
    { family: 6, ip: Uint8Array.from([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 1, 2, 3, 4]) },
  ];
  for (const { family, ip } of bad) {
    const other = openRegion(t, options);
    const payload = new Uint8Array(BindingsHead.sizeBytes + Binding.sizeBytes);
    BindingsHead.encode({ entries: 1, blocks: 0, portGroups: new Uint8Array(0) }, payload);
    Binding.encode(
      {
        port: PORT,
        count: 1,
        state: BindingState.listening,
        shared: 0,
        backlog: 1,
        family,
        socket: 3,
        group: 'STG',
        ip,
      },
      payload,
      BindingsHead.sizeBytes,
    );
    const page = Buffer.alloc(BLOCK_BYTES);
    sealBlock(page, PROCESS_BLOCKS.bindings, 1000, payload);
    const file = fs.openSync(path.join(options.directory, 'processes', String(other.self.number)), 'r+');
    fs.writeSync(file, page, 0, BLOCK_BYTES, PROCESS_BLOCKS.bindings * BLOCK_BYTES);
    fs.closeSync(file);
    const about = `family ${family} and ${Buffer.from(ip).toString('hex')}`;
    for (const called of ['127.0.0.1', 'fd00::2'])
      t.notOk(
        family !== 0 && region.bindings.seeListener('here', 'STG', PORT, { ip: called }) !== undefined,
        `${about}: no listener at ${called}`,
      );
    t.equal(region.bindings.bind(PORT, 'STG', 1), PORT, `${about}: in nobody's way`);
    region.bindings.unbind(PORT, 'STG');
    t.match(inspectRegion(options.directory).problems, [/bindings.*binding\.ip/u], about);
    t.same(region.bindings.ports('here', 'STG'), []);
    fs.rmSync(path.join(options.directory, 'processes', String(other.self.number)));
  }
  t.end();
});

void t.test(
  'of the processes of this host only those of our network namespace count, where that is asked',
  { skip: needsUnshare('--net') },
  async (t) => {
    const options = optionsFor(t);
    const region = openRegion(t, options);
    const near = await RegionChild.one(t);
    const far = await RegionChild.one(t, ['unshare', '--net']);
    for (const child of [near, far]) await child.call('open', options);
    t.equal(region.process(2)?.networkNamespace, region.self.networkNamespace);
    t.not(region.process(3)?.networkNamespace, region.self.networkNamespace);
    t.ok(region.self.networkNamespace > 0);
    await far.call('bind', PORT, 'STG', 1);
    await far.call('listen', PORT, 'STG');
    t.ok(region.bindings.seeListener('here', 'STG', PORT));
    t.notOk(region.bindings.seeListener('here', 'STG', PORT, { sameNetwork: true }));
    t.equal(region.bindings.findListener('here', 'STG', PORT, { sameNetwork: true }), undefined);
    t.match(await far.call('find', 'here', 'STG', PORT, { sameNetwork: true }), { number: 3 }, 'it finds itself');
    await near.call('bind', PORT + 1, 'STG', 1);
    await near.call('listen', PORT + 1, 'STG');
    t.ok(region.bindings.seeListener('here', 'STG', PORT + 1, { sameNetwork: true }));
    t.equal(await far.call('find', 'here', 'STG', PORT + 1, { sameNetwork: true }), null);
  },
);

void t.test('a process of another host counts, whatever number its namespace has', (t) => {
  const disk = new SimulatedDisk({ seed: 1, delayTicksMax: 0 });
  const options = optionsFor(t);
  const open = (process: number, over: Partial<Machine>): Region =>
    openRegion(t, options, { storage: new SimulatedStorage(disk, { process }), machine: { ...machine(), ...over } });
  const region = open(1, { networkNamespace: 7 });
  const guest = open(2, { networkNamespace: 8 });
  const other = open(3, { networkNamespace: 8, bootId: 'another-kernel' });
  other.beat();
  for (const [i, { bindings }] of [guest, other].entries()) {
    bindings.bind(PORT + i, 'STG', 1);
    bindings.listen(PORT + i, 'STG');
  }
  t.same(
    [0, 1].map((i) => region.bindings.seeListener('here', 'STG', PORT + i) !== undefined),
    [true, true],
  );
  t.same(
    [0, 1].map((i) => region.bindings.seeListener('here', 'STG', PORT + i, { sameNetwork: true }) !== undefined),
    [false, true],
  );
  t.end();
});
