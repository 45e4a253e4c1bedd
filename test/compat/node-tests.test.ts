/**
 * The tool that runs Node's own tests: what it tells of a test is what happened, its groups hold what they say, and its
 * data agree with each other.
 */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import t from 'tap';
import { program } from '../../compat/main';
import { hasNamespaces } from '../../compat/namespace';
import { expected, nodeData } from '../../compat/node-data';
import { NODE_GROUPS, testFiles } from '../../compat/node-groups';
import { type Mode, runNodeTest } from '../../compat/node-test';
import { program as versionsProgram } from '../../compat/test-versions';

const WATCHDOG_MS = 60_000;
/** For a test that would never end. */
const SHORT_MS = 1500;

const ECHO = `const net = require('node:net');
const server = net.createServer((socket) => socket.pipe(socket)).listen(0, '127.0.0.1', () => {
  const client = net.connect(server.address().port, '127.0.0.1', () => client.end('x'));
  client.on('data', () => server.close());
});`;

const TESTS = {
  'echo.js': ECHO,
  'flags.js': `// Flags: --expose-gc --no-warnings\nif (typeof gc !== 'function') throw new Error('no gc');`,
  'skip.js': `console.log('1..0 # Skipped: not here');`,
  'throw.js': `throw new Error('as it should');`,
  'hang.js': `const hang = 'setInterval(() => {}, 1000)';
require('node:child_process').spawn(process.execPath, ['-e', hang], { stdio: 'inherit' });
setInterval(() => {}, 1000);`,
  'udp.js': `const socket = require('node:dgram').createSocket('udp4');
socket.bind(0, '127.0.0.1', () => socket.send('x', socket.address().port, '127.0.0.1'));
socket.on('message', () => socket.close());`,
} as const;

void t.test('a test is reported as it ended', { timeout: WATCHDOG_MS }, async (t) => {
  const tests = fs.mkdtempSync(path.join(os.tmpdir(), 'stp-compat-test-'));
  t.teardown(() => {
    fs.rmSync(tests, { recursive: true, force: true });
  });
  for (const [name, text] of Object.entries(TESTS)) fs.writeFileSync(path.join(tests, name), text);
  const outcome = async (name: keyof typeof TESTS, mode: Mode, limitMs = WATCHDOG_MS): Promise<string> => {
    const { outcome: how, why } = await runNodeTest(
      { node: process.execPath, tests, limitMs, ownNode: true },
      name,
      mode,
      1,
    );
    return how === 'fail' ? `fail: ${why.split('\n').at(-1) ?? ''}` : how;
  };
  t.equal(await outcome('echo.js', 'native'), 'pass');
  t.equal(await outcome('echo.js', 'stp'), 'pass', 'over STP');
  t.equal(await outcome('flags.js', 'stp'), 'pass', 'flags in the head of a test are those of its process');
  t.equal(await outcome('skip.js', 'native'), 'skip');
  t.equal(await outcome('throw.js', 'stp'), 'fail: exit code 1');
  t.equal(
    await outcome('hang.js', 'native', SHORT_MS),
    'fail: not done after 1.5 s',
    'with the process that it has left behind',
  );
  if (hasNamespaces()) {
    t.match(await outcome('echo.js', 'none'), /^fail/u, 'where kernel TCP is blocked nothing else connects');
    t.equal(await outcome('udp.js', 'none'), 'pass', 'UDP is not blocked');
  } else t.comment('no network namespaces here');
});

void t.test('a group is chosen by a rule', (t) => {
  const tests = fs.mkdtempSync(path.join(os.tmpdir(), 'stp-compat-test-'));
  t.teardown(() => {
    fs.rmSync(tests, { recursive: true, force: true });
  });
  const write = (file: string, text: string): void => {
    fs.mkdirSync(path.dirname(path.join(tests, file)), { recursive: true });
    fs.writeFileSync(path.join(tests, file), text);
  };
  write('parallel/test-http-b.js', '');
  write('parallel/test-http-a.mjs', '');
  write('parallel/test-http-a.txt', '');
  write('parallel/test-http2-a.js', '');
  write('parallel/test-child-process-a.js', "const net = require('net');");
  write('parallel/test-child-process-b.js', "const fs = require('fs');");
  write('sequential/test-http-c.js', '');
  const files = (name: string): string[] => {
    const group = NODE_GROUPS.find((each) => each.name === name);
    return group === undefined ? [] : testFiles(tests, group);
  };
  t.same(files('http'), ['parallel/test-http-a.mjs', 'parallel/test-http-b.js', 'sequential/test-http-c.js']);
  t.same(files('http2'), ['parallel/test-http2-a.js']);
  t.same(files('child_process'), ['parallel/test-child-process-a.js'], 'only what loads a module of sockets');
  t.end();
});

void t.test('what is known of the tests agrees', (t) => {
  for (const { name } of NODE_GROUPS) t.doesNotThrow(() => nodeData(name), name);
  const data = nodeData('net');
  const stream = Object.keys(data.classes).filter((test) => data.classes[test] === 'stream');
  t.equal(stream.length, 90);
  t.equal(stream.filter((test) => data.needsTransport.has(test)).length, 68);
  t.same(
    [...data.needsTransport].filter((test) => !(test in data.classes)),
    [],
  );
  t.same(
    stream.filter((test) => expected(data, test, 'stp') !== 'pass'),
    [],
    'any transport should pass these',
  );
  t.end();
});

void t.test('a wrong command line names what is wrong', async (t) => {
  const wrong = async (command: ReturnType<typeof program>, ...args: string[]): Promise<string> => {
    let said = '';
    command.configureOutput({ writeErr: (text) => (said += text) });
    try {
      await command.parseAsync(args, { from: 'user' });
    } catch (error) {
      return `${said}${(error as Error).message}`;
    }
    return 'nothing was wrong';
  };
  t.match(await wrong(program(), 'nett'), '"nett" is no section');
  t.match(await wrong(program(), '--jobs', '0'), /--jobs.*from 1 to 64/su);
  t.match(await wrong(program(), '--jbos', '2'), '--jobs');
  t.match(await wrong(program(), 'node', '--every', '0'), /--every.*from 1 to 1000/su);
  t.match(await wrong(program(), 'net', '--filter', ''), /--filter/u);
  t.match(await wrong(program(), 'net', '--json', 'no/such/directory/x.json'), /--json .*no such directory/u);
  t.match(await wrong(versionsProgram(), '--versions', '20,x'), '"x" is no version');
  t.match(await wrong(versionsProgram(), 'shim/no-such'), 'no test shim/no-such');
  t.match(await wrong(versionsProgram(), '--smoke', 'shim/parity'), /--smoke/u);
});
