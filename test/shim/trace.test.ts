/** The calls of unmodified programs, as STP_TRACE=1 shows them, are those of the table in docs/translation.md. */
import fs from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { projectRoot } from '../../scripts/project-root';
import { REASONS } from '../../shim/reasons';
import { node, PACKAGE, REGISTER, scratch } from './kit';

const DOCUMENT = fs.readFileSync(path.join(projectRoot(), 'docs', 'translation.md'), 'utf8');

/** Rows of the table under a heading: cells without their backticks. */
function table(heading: string): string[][] {
  const section = DOCUMENT.split(/^## /mu).find((text) => text.startsWith(heading)) ?? '';
  const rows = section
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .slice(2);
  return rows.map((row) =>
    row
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}

/** Operation -> calls, those in brackets left out. */
const expected = new Map<string, string[]>(
  table('Operations').map(([operation = '', , calls = '']) => [
    operation,
    calls.replace(/\[.*?\]/gu, '').match(/STP\w+(\(\w+\))?/gu) ?? [],
  ]),
);

/**
 * Marks the trace; then acts. The pauses let what is under way arrive: each operation's calls stand under its mark.
 * They are turns of the event loop, of which a busy machine gives few in a time.
 */
const PRELUDE = `
  const fs = require('node:fs');
  const settled = async () => {
    for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setTimeout(resolve, 3));
  };
  const during = async (operation, act) => {
    await settled();
    fs.writeSync(2, '## ' + operation + '\\n');
    const value = act();
    await settled();
    fs.writeSync(2, '## \\n');
    return value;
  };
`;

/** Operation -> the calls that the trace shows under its mark, with the options that tell calls of one name apart. */
function traced(stderr: string): Map<string, string[]> {
  const found = new Map<string, string[]>();
  let operation = '';
  for (const line of stderr.split('\n')) {
    if (line.startsWith('## ')) operation = line.slice(3);
    const [, name = '', args = ''] = /^(STP\w+)\((.*)\) = /u.exec(line) ?? [];
    if (name === '' || operation === '') continue;
    const option = /^STP(set|get)(sock)?opt$/u.test(name) ? /\b(STP|SO|TCP)_\w+/u.exec(args)?.[0] : undefined;
    // Follows what a socket waits for, a turn later: no part of the operation, but for ref and unref.
    if (option === 'STP_REF' && operation !== 'options') continue;
    found.set(operation, [...(found.get(operation) ?? []), option === undefined ? name : `${name}(${option})`]);
  }
  return found;
}

async function trace(
  text: string,
  args: readonly string[] = ['--require', REGISTER],
): Promise<{ calls: Map<string, string[]>; stderr: string }> {
  const place = scratch();
  const { code, stderr } = await node([...args, '-e', `${PRELUDE}(async () => {${text}})();`], {
    STP_REGION: place.region,
    STP_NET: 'stp',
    STP_TRACE: '1',
  });
  place.remove();
  if (code !== 0) throw new Error(stderr);
  return { calls: traced(stderr), stderr };
}

void t.test('a program written for TCP makes the calls of the table', async (t) => {
  const { calls, stderr } = await trace(`
    const net = require('node:net');
    let accepted;
    const server = net.createServer({ allowHalfOpen: true }, (socket) => {
      accepted = socket;
      socket.on('error', () => {});
    });
    await during('listen', () => server.listen(0));
    const { port } = server.address();
    let socket;
    await during('connect', () => { socket = net.connect({ port, allowHalfOpen: true }); });
    await during('address', () => [socket.localAddress, socket.remotePort, socket.localPort]);
    await during('write', () => socket.write('hello'));
    accepted.resume();
    await during('options', () => socket.setNoDelay().setKeepAlive(true).unref().setNoDelay());
    await during('end', () => socket.end());
    await during('destroy', () => accepted.end());
    socket = net.connect(port);
    await settled();
    await during('reset', () => socket.resetAndDestroy());
    await during('close', () => server.close());
  `);
  // Both ends are in this program: what the other end does at once is under the same mark.
  const of = (operation: string): string[] => expected.get(operation) ?? [];
  const connect = of('connect');
  t.same(calls.get('listen'), of('listen'), stderr);
  t.same(calls.get('connect')?.slice(0, 4), connect.slice(0, 4));
  t.same(calls.get('connect')?.slice(4).sort(), [...of('accept'), ...connect.slice(4)].sort());
  t.same(calls.get('address'), of('address'));
  t.same(calls.get('options'), of('options'));
  t.same(calls.get('write'), [...of('write'), ...of('read')]);
  t.same(calls.get('end')?.slice(0, 1), of('end'));
  t.same(
    calls.get('destroy')?.filter((call) => call === 'STPclose'),
    [...of('destroy'), ...of('destroy')],
  );
  t.same(calls.get('reset')?.slice(0, 2), of('reset'));
  t.same(calls.get('close')?.slice(-1), of('close'));
});

void t.test('reading makes the calls of the table: at the pace of the program', async (t) => {
  const { calls, stderr } = await trace(`
    const net = require('node:net');
    const server = net.createServer({ allowHalfOpen: true }, (socket) => {
      socket.once('data', async () => {
        socket.pause();
        await during('read', () => { socket.resume(); other.write('more'); });
        await during('end of the peer', () => { other.end(); });
        server.close();
        socket.end();
      });
    }).listen(0);
    const other = net.connect({ port: server.address().port, allowHalfOpen: true });
    other.write('first');
    other.resume();
  `);
  t.same(calls.get('read'), [...(expected.get('write') ?? []), ...(expected.get('read') ?? [])], stderr);
  t.same(calls.get('end of the peer'), [...(expected.get('end') ?? []), ...(expected.get('end of the peer') ?? [])]);
});

void t.test('giving and taking make the calls of the table', async (t) => {
  const { calls, stderr } = await trace(
    `
    const net = require(${JSON.stringify(PACKAGE)});
    const server = net.createServer((socket) => socket.resume()).listen(0);
    const socket = net.connect(server.address().port);
    await settled();
    const token = await during('give', () => socket.stpGive());
    const taken = await during('take', () => net.stpTake(token));
    taken.destroy();
    server.close();
  `,
    [],
  );
  t.same(calls.get('give'), expected.get('give'), stderr);
  t.same(calls.get('take')?.slice(0, 3), expected.get('take'));
});

void t.test('the trace tells each decision, and nothing without STP_TRACE', async (t) => {
  const program = `
    const net = require('node:net');
    const server = net.createServer((socket) => { socket.end(); server.close(); });
    server.listen(0, () => net.connect(server.address().port).resume());
  `;
  const { stderr } = await trace(program);
  t.match(stderr, /^# listen :::0: stp, MODE_STP$/mu);
  t.match(stderr, /^# connect localhost:\d+: stp, MODE_STP$/mu);
  t.match(stderr, /^# accept :\d+: stp, ACCEPTED$/mu);
  const place = scratch();
  t.teardown(place.remove);
  t.same((await node(['--require', REGISTER, '-e', program], { STP_REGION: place.region, STP_NET: 'stp' })).stderr, '');
});

void t.test('the document has every reason, as the code declares it', (t) => {
  t.same(
    table('STP or TCP'),
    Object.entries(REASONS).map(([code, { transport, doc }]) => [`\`${code}\``, transport, doc]),
  );
  t.end();
});
