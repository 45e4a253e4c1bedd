import t from 'tap';
import { BINDINGS_PER_BLOCK, ipBytes } from '../../src/layout';
import { inspectRegion } from '../../src/region';
import { findListening, groupBytes } from '../../src/region/binding-reader';
import { codeOf, openRegion, optionsFor, RegionChild, startOfRace } from './kit';

void t.test('Eight processes fight over a port: exactly one wins, every time', async (t) => {
  const options = optionsFor(t);
  const children = await RegionChild.start(t, 8);
  for (const child of children) await child.call('open', options);
  const wins = new Set<number>();
  for (let round = 0; round < 30; round += 1) {
    const atMs = startOfRace();
    const results = await Promise.all(children.map((child) => child.call<number>('bind', 4000, 'STG', 1, atMs)));
    const winners = results.flatMap((port, i) => (port === 4000 ? [i] : []));
    t.equal(winners.length, 1, `round ${round}: one winner`);
    const winner = winners[0] ?? 0;
    wins.add(winner);
    await children[winner]?.call('unbind', 4000, 'STG');
  }
  t.comment(`${wins.size} of the 8 have won`);
});

void t.test('Processes that ask for any port at once all get different ones, and different ranges', async (t) => {
  const options = optionsFor(t);
  const children = await RegionChild.start(t, 6);
  for (const child of children) await child.call('open', options);
  const atMs = startOfRace();
  const bound = await Promise.all(children.map((child) => child.call<number>('bind', 0, 'STG', 1, atMs)));
  t.equal(new Set(bound).size, 6);
  const taken = (
    await Promise.all(children.map((child) => child.call<number[]>('ephemerals', 300, 'STG', startOfRace())))
  ).flat();
  t.equal(new Set([...bound, ...taken]).size, 6 * 301);
  t.ok([...bound, ...taken].every((port) => port >= 32_768 && port <= 65_535));
  t.ok(
    bound.every((port) => port >= 61_000),
    'and none that the kernel gives out by itself, where processes are few',
  );
});

void t.test('The port and the range of a killed process are free at once', async (t) => {
  const options = optionsFor(t);
  const region = openRegion(t, options);
  const child = await RegionChild.one(t);
  await child.call('open', options);
  await child.call('bind', 4000, 'STG', 5);
  t.equal(region.bindings.findListener('here', 'STG', 4000), undefined, 'bound is not listening');
  await child.call('listen', 4000, 'STG');
  const [first] = await child.call<number[]>('ephemerals', 1, 'STG');
  t.match(region.bindings.findListener('HERE', 'STG', 4000), { process: { number: 2 }, socket: 5 });
  t.equal(
    codeOf(() => region.bindings.bind(4000, 'STG', 1)),
    'EADDRINUSE',
  );
  await child.kill();
  t.equal(region.bindings.findListener('here', 'STG', 4000), undefined);
  t.equal(region.bindings.bind(4000, 'STG', 1), 4000);
  t.same(
    region.bindings.ports('here', 'STG').map(({ port }) => port),
    [4000],
  );
  t.type(first, 'number');
});

void t.test("A process killed while it claims is in nobody's way", async (t) => {
  const options = optionsFor(t);
  const region = openRegion(t, options);
  const children = await RegionChild.start(t, 4);
  for (const [i, child] of children.entries()) {
    await child.call('open', options);
    await child.call('churn', 4000, 'STG');
    // Long enough that it is in the middle of it, another moment for each.
    const untilMs = performance.now() + 20 + i * 3.7;
    while (performance.now() < untilMs) region.bindings.ports();
    await child.kill();
    t.equal(region.bindings.bind(4000, 'STG', 1), 4000);
    region.bindings.unbind(4000, 'STG');
  }
});

void t.test('Ports are kept apart by system, without case, and by group, exactly', (t) => {
  const options = optionsFor(t);
  const here = openRegion(t, options);
  const alsoHere = openRegion(t, { ...options, system: 'HERE' });
  const there = openRegion(t, { ...options, system: 'there' });
  here.bindings.bind(80, 'STG', 1);
  t.match(alsoHere.bindings.ports('here'), [
    { port: 80, count: 1, group: 'STG', socket: 1, state: 'bound', process: { number: 1 } },
  ]);
  t.equal(
    codeOf(() => alsoHere.bindings.bind(80, 'STG', 1)),
    'EADDRINUSE',
  );
  t.equal(
    codeOf(() => here.bindings.bind(80, 'STG', 2)),
    'EADDRINUSE',
    'also in the same process',
  );
  t.equal(alsoHere.bindings.bind(80, 'stg', 1), 80);
  t.equal(there.bindings.bind(80, 'STG', 9), 80);
  there.bindings.listen(80, 'STG');
  there.bindings.listen(80, 'STG');
  t.equal(here.bindings.findListener('here', 'STG', 80), undefined);
  t.match(here.bindings.findListener('There', 'STG', 80), { process: { number: 3 }, socket: 9 });
  t.match(
    there.bindings.findListener('There', 'STG', 80),
    { process: { number: 3 }, socket: 9 },
    'the listener finds itself',
  );
  t.equal(here.bindings.findListener('There', 'stg', 80), undefined);
  t.equal(here.bindings.findListener('There', 'no group!', 80), undefined);
  t.equal(here.bindings.findListener('There', 'STG', 0), undefined);
  there.bindings.unbind(80, 'STG');
  t.equal(here.bindings.findListener('There', 'STG', 80), undefined);
  there.bindings.bind(81, 'STG', 9);
  there.bindings.listen(81, 'STG');
  there.close();
  t.equal(here.bindings.findListener('There', 'STG', 81), undefined, 'who left listens no more');
  t.end();
});

void t.test('Wrong arguments are EINVAL and change nothing', (t) => {
  const { bindings } = openRegion(t, optionsFor(t));
  for (const port of [-1, 65_536, 1.5, Number.NaN, '80' as unknown as number])
    t.equal(
      codeOf(() => bindings.bind(port, 'STG', 1)),
      'EINVAL',
      String(port),
    );
  for (const group of ['', 'x'.repeat(16), 'a b', undefined as unknown as string]) {
    t.equal(
      codeOf(() => bindings.bind(1, group, 1)),
      'EINVAL',
      group,
    );
    t.equal(
      codeOf(() => bindings.ephemeral(group)),
      'EINVAL',
      group,
    );
  }
  t.equal(
    codeOf(() => {
      bindings.listen(80, 'STG');
    }),
    'EINVAL',
    'listen without bind',
  );
  t.equal(
    codeOf(() => {
      bindings.unbind(80, 'STG');
    }),
    'EINVAL',
    'unbind without bind',
  );
  bindings.releaseEphemeral(80, 'STG');
  t.same(bindings.ports(), []);
  t.end();
});

void t.test('A process can hold thousands of ports, and others find each of them', async (t) => {
  const options = optionsFor(t);
  const region = openRegion(t, options);
  const child = await RegionChild.one(t);
  await child.call('open', options);
  const most = 4000;
  t.equal(await child.call<number>('bindMany', 1, most - 1, 'STG'), most - 1);
  t.equal(await child.call<number>('bindMany', 65_535, 1, 'STG'), 1, 'the highest as well');
  t.match(region.bindings.findListener('here', 'STG', 65_535), { socket: 65_535 });
  let wrong = 0;
  for (let port = 1; port < most; port += 1)
    if (region.bindings.findListener('here', 'STG', port)?.socket !== port) wrong += 1;
  t.equal(wrong, 0);
  t.equal(region.bindings.findListener('here', 'STH', 3000), undefined, 'of another group');
  t.equal(
    codeOf(() => region.bindings.bind(most - 1, 'STG', 1)),
    'EADDRINUSE',
  );
  t.equal(
    codeOf(() => region.bindings.bind(700, 'STG', 1)),
    'EADDRINUSE',
  );
  t.equal(region.bindings.ports().length, most);
  await child.call('unbind', 2500, 'STG');
  t.equal(region.bindings.findListener('here', 'STG', 2500), undefined);
  t.equal(region.bindings.bind(2500, 'STG', 1), 2500, 'a hole in the middle is free');
  region.bindings.unbind(2500, 'STG');
  t.equal(await child.call<number>('bind', 2500, 'STG', 7), 2500, 'and used again');
  t.equal(inspectRegion(options.directory).processes.find(({ info }) => info.number === 2)?.bindings.length, most);
  await child.kill();
  t.equal(region.bindings.findListener('here', 'STG', 3000), undefined);
  t.equal(region.bindings.bind(3000, 'STG', 1), 3000);
});

void t.test('Two processes with many ports bind the rest in their turn, and no port has two owners', async (t) => {
  const options = optionsFor(t);
  const children = await RegionChild.start(t, 2);
  for (const child of children) await child.call('open', options);
  const atMs = startOfRace();
  const counts = await Promise.all(children.map((child) => child.call<number>('bindMany', 1, 1500, 'STG', atMs)));
  t.equal((counts[0] ?? 0) + (counts[1] ?? 0), 1500);
  const ports = openRegion(t, options)
    .bindings.ports()
    .map(({ port }) => port);
  t.equal(new Set(ports).size, 1500);
  t.equal(ports.length, 1500);
});

void t.test(
  'A group of ports has room for many addresses each, and what is given up is not looked at any more',
  (t) => {
    const region = openRegion(t, optionsFor(t));
    const other = openRegion(t, { directory: region.storage.root, system: 'here', group: 'STG', driver: 'direct' });
    const groups = Array.from({ length: 12 }, (_, i) => `g${i}`);
    for (let port = 1; port <= BINDINGS_PER_BLOCK; port += 1) region.bindings.bind(port, 'STG', 1);
    for (const group of groups) for (let port = 640; port < 704; port += 1) region.bindings.bind(port, group, port);
    for (const group of groups) region.bindings.listen(700, group);
    for (const group of groups) t.equal(other.bindings.findListener('here', group, 700)?.socket, 700);
    t.equal(other.bindings.ports().length, BINDINGS_PER_BLOCK + 12 * 64);
    for (const group of groups) for (let port = 640; port < 704; port += 1) region.bindings.unbind(port, group);
    t.equal(other.bindings.ports().length, BINDINGS_PER_BLOCK);
    region.bindings.bind(650, 'STG', 5);
    region.bindings.listen(650, 'STG');
    t.equal(other.bindings.findListener('here', 'STG', 650)?.socket, 5);
    t.end();
  },
);

void t.test('Connections beyond the last free port share one, and a port to listen at is still found', (t) => {
  const options = optionsFor(t);
  const region = openRegion(t, options);
  const other = openRegion(t, options);
  const ports = Array.from({ length: 40_000 }, () => region.bindings.ephemeral('STG'));
  t.equal(new Set(ports.slice(0, 32_768)).size, 32_768, 'each has its own as long as there are some');
  t.ok(ports.every((port) => port >= 32_768 && port <= 65_535));
  const fromOther = other.bindings.ephemeral('STG');
  t.ok(fromOther >= 32_768, 'another process connects as well');
  const listening = other.bindings.bind(0, 'STG', 1);
  t.equal(
    codeOf(() => region.bindings.bind(listening, 'STG', 1)),
    'EADDRINUSE',
  );
  other.bindings.releaseEphemeral(fromOther, 'STG');
  for (const port of ports) region.bindings.releaseEphemeral(port, 'STG');
  const again = Array.from({ length: 1000 }, () => region.bindings.ephemeral('STG'));
  t.equal(new Set(again).size, 1000, 'what was given back is given out to one again');
  t.end();
});

void t.test(
  'A lookup reads one block of a process that has few ports, and at most one more of one that has many',
  (t) => {
    const region = openRegion(t, optionsFor(t));
    for (let port = 1; port <= 600; port += 1) region.bindings.bind(port, 'STG', port);
    region.bindings.listen(400, 'STG');
    const inner = region.storage.openBlocks('processes/1');
    if (inner === undefined) throw new Error('no process file');
    t.teardown(() => {
      inner.close();
    });
    const look = (port: number): { socket: number | undefined; reads: number } => {
      let reads = 0;
      const reader = { sizeBytes: 0, read: (index: number) => (reads++, inner.read(index)), close: () => undefined };
      const socket = findListening(reader, 1, { group: groupBytes('STG'), port, ip: ipBytes('') })?.socket;
      return { socket, reads };
    };
    t.same(look(400), { socket: 400, reads: 2 });
    t.same(look(401), { socket: undefined, reads: 2 }, 'bound, and does not listen');
    t.same(look(6000), { socket: undefined, reads: 1 });
    t.same(look(65_535), { socket: undefined, reads: 1 });
    t.end();
  },
);

void t.test('Ephemeral ports are given in turn, taken back, and never the ones that somebody bound', (t) => {
  const options = optionsFor(t);
  const region = openRegion(t, options);
  const other = openRegion(t, options);
  const first = region.bindings.ephemeral('STG');
  region.bindings.releaseEphemeral(first, 'STG');
  t.not(region.bindings.ephemeral('STG'), first, 'not the same again at once');
  const range = first - (first % 128);
  const bound = other.bindings.bind(range + 5, 'STG', 1);
  const own = region.bindings.bind(range + 6, 'STG', 1);
  t.same([bound, own], [range + 5, range + 6], 'a number in a range can be bound by anybody');
  const ports = Array.from({ length: 300 }, () => region.bindings.ephemeral('STG'));
  t.equal(new Set(ports).size, 300);
  t.notOk(ports.includes(own), 'the one we bound is not given out');
  const chosen = Array.from({ length: 100 }, () => region.bindings.bind(0, 'STG', 2));
  t.notOk(chosen.includes(bound), 'a chosen one is bound by nobody else');
  t.equal(new Set([...chosen, ...ports]).size, 400);
  t.equal(
    codeOf(() => other.bindings.bind(chosen[50] ?? 0, 'STG', 1)),
    'EADDRINUSE',
  );
  for (const port of chosen) region.bindings.unbind(port, 'STG');
  for (const port of ports) region.bindings.releaseEphemeral(port, 'STG');
  region.bindings.unbind(own, 'STG');
  const rangesLeft = region.bindings
    .ports('here', 'STG')
    .filter(({ state, process }) => state === 'range' && process === region.self).length;
  t.ok(rangesLeft <= 2, 'ranges that are not needed are given back');
  t.end();
});

void t.test(
  'When every range is held a port to listen at is still chosen, and a range is to be had when a holder goes',
  (t) => {
    const options = optionsFor(t);
    const hog = openRegion(t, options);
    const other = openRegion(t, options);
    const ranges = (): number =>
      other.bindings.ports('here', 'STG').filter(({ state, process }) => state === 'range' && process === other.self)
        .length;
    const given = Array.from({ length: 32_768 }, () => hog.bindings.ephemeral('STG'));
    t.equal(new Set(given).size, 32_768, 'all of them were given');
    t.ok(other.bindings.ephemeral('STG') >= 32_768, 'a connection shares one');
    t.ok(other.bindings.ephemeral('other') > 0, 'another group has its own');
    t.equal(other.bindings.bind(40_000, 'STG', 1), 40_000, 'a number can still be bound');
    const chosen = other.bindings.bind(0, 'STG', 1);
    t.ok(chosen >= 32_768 && chosen !== 40_000);
    t.equal(ranges(), 0);
    hog.close();
    t.ok(other.bindings.bind(0, 'STG', 1) >= 32_768);
    t.equal(ranges(), 1);
    t.end();
  },
);

void t.test(
  'A port that all share is bound by many, found in turn, and taken by nobody who does not share it',
  async (t) => {
    const options = optionsFor(t);
    const region = openRegion(t, options);
    const children = await RegionChild.start(t, 3);
    const atMs = startOfRace();
    for (const child of children) await child.call('open', options);
    const bound = await Promise.all(
      children.map((child) => child.call<number>('bind', 4000, 'STG', 1, atMs, { shared: true })),
    );
    t.same(bound, [4000, 4000, 4000]);
    t.equal(
      codeOf(() => region.bindings.bind(4000, 'STG', 1)),
      'EADDRINUSE',
      'who does not share it',
    );
    for (const child of children) await child.call('listen', 4000, 'STG');
    const turns = Array.from({ length: 9 }, () => region.bindings.findListener('here', 'STG', 4000)?.process.number);
    t.same([...turns].sort(), [2, 2, 2, 3, 3, 3, 4, 4, 4]);
    t.equal(region.bindings.bind(4000, 'STG', 7, { shared: true }), 4000);
    await children[0]?.kill();
    await children[1]?.call('unbind', 4000, 'STG');
    const left = Array.from({ length: 4 }, () => region.bindings.findListener('here', 'STG', 4000)?.process.number);
    t.same(left, [4, 4, 4, 4], 'bound is not listening');
    t.equal(
      region.bindings.findListener('here', 'STG', 4000, { cost: () => 2 })?.process.number,
      4,
      'who was tried already, where there is no other',
    );
  },
);

void t.test('A port that is held becomes a shared one', async (t) => {
  const options = optionsFor(t);
  const region = openRegion(t, options);
  const child = await RegionChild.one(t);
  await child.call('open', options);
  region.bindings.bind(4000, 'STG', 1);
  region.bindings.listen(4000, 'STG');
  t.equal(await child.call('bind', 4000, 'STG', 1, startOfRace(), { shared: true }), -1);
  region.bindings.share(4000, 'STG');
  t.equal(await child.call('bind', 4000, 'STG', 1, startOfRace(), { shared: true }), 4000);
  t.equal(
    codeOf(() => {
      region.bindings.share(4001, 'STG');
    }),
    'EINVAL',
  );
});
