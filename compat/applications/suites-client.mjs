/** The same test suite in mocha, jest and vitest, each with its fake timers, against a real server. */
import { createRequire } from 'node:module';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { FAKED, must, tell, told } from './kit.mjs';

const require = createRequire(import.meta.url);
const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'stp-suites-'));
process.on('exit', () => fs.rmSync(directory, { recursive: true, force: true }));

const body = (clock) => `
  const http = require('node:http');
  const get = (path) => new Promise((resolve, reject) => {
    http.get({ port: ${told().port}, host: '127.0.0.1', path }, (response) => {
      let text = '';
      response.on('data', (part) => (text += part)).on('end', () => resolve(JSON.parse(text).hello));
    }).on('error', reject);
  });
  const same = (a, b) => { if (a !== b) throw new Error(a + ' is not ' + b); };
  describe('a server', () => {
    it('answers', async () => same(await get('/hello/one'), 'one'));
    it('answers while timers are faked', async () => { ${clock[0]} same(await get('/hello/two'), 'two'); ${clock[1]} });
  });
`;
const write = (name, text) => {
  const file = path.join(directory, name);
  fs.writeFileSync(file, text);
  return file;
};

async function mocha() {
  const { default: Mocha } = await import('mocha');
  const timers = JSON.stringify(require.resolve('@sinonjs/fake-timers'));
  const fake = `const clock = require(${timers}).install(${JSON.stringify({ toFake: FAKED })});`;
  const suite = new Mocha({ reporter: 'min', ui: 'bdd' });
  const said = process.stdout.write;
  process.stdout.write = () => true;
  suite.addFile(write('mocha.cjs', body([fake, 'clock.uninstall();'])));
  const failed = await new Promise((resolve) => suite.run(resolve));
  process.stdout.write = said;
  return { passed: suite.suite.total() - failed, failed };
}

async function jest() {
  const { runCLI } = require('@jest/core');
  write('package.json', '{}');
  write(
    'jest.test.js',
    body([`jest.useFakeTimers({ doNotFake: ['nextTick', 'queueMicrotask'] });`, 'jest.useRealTimers();']),
  );
  const { results } = await runCLI(
    {
      runInBand: true,
      silent: true,
      reporters: [],
      rootDir: directory,
      testMatch: ['**/jest.test.js'],
      watchman: false,
      cache: false,
      transform: '{}',
    },
    [directory],
  );
  for (const { failureMessage } of results.testResults) if (failureMessage) console.error(failureMessage);
  return { passed: results.numPassedTests, failed: results.numFailedTests };
}

async function vitest() {
  const { startVitest } = await import('vitest/node');
  const head = `import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);`;
  const text = body(['vi.useFakeTimers();', 'vi.useRealTimers();']);
  write('vitest.test.mjs', `${head} ${text}`);
  const runner = await startVitest('test', [], {
    root: directory,
    include: ['vitest.test.mjs'],
    watch: false,
    reporters: [{}],
    pool: 'threads',
    config: false,
    globals: true,
  });
  const tests = runner.state.getFiles().flatMap((file) => file.tasks.flatMap((each) => each.tasks ?? [each]));
  for (const test of tests) if (test.result?.state !== 'pass') console.error(JSON.stringify(test.result?.errors));
  await runner.close();
  const passed = tests.filter(({ result }) => result?.state === 'pass').length;
  return { passed, failed: tests.length - passed };
}

const results = { mocha: await mocha(), jest: await jest(), vitest: await vitest() };
for (const [name, { passed, failed }] of Object.entries(results))
  must(passed === 2 && failed === 0, `${name}: ${passed} passed`);
tell(results);
process.exit(0);
