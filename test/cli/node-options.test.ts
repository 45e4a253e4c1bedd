/** NODE_OPTIONS keeps what it held and gains the hook, whatever the path of the hook looks like. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { parseNodeOptions, quoteNodeOption, withRequire } from '../../src/cli/node-options';

void t.test('words are parted as Node parts them', (t) => {
  t.same(parseNodeOptions(''), []);
  t.same(parseNodeOptions('  --a   --b=c '), ['--a', '--b=c']);
  t.same(parseNodeOptions('--require "/a b/c.js" --x'), ['--require', '/a b/c.js', '--x']);
  t.same(parseNodeOptions('--require "/a\\"b\\\\c.js"'), ['--require', '/a"b\\c.js']);
  t.same(parseNodeOptions('C:\\a\\b'), ['C:\\a\\b'], 'a backslash outside of quotes is itself');
  t.equal(parseNodeOptions('--require "/a b'), undefined);
  t.equal(parseNodeOptions('"a\\'), undefined);
  t.end();
});

void t.test('the hook is added last, once', (t) => {
  t.equal(withRequire(undefined, '/x/register.js'), '--require /x/register.js');
  t.equal(withRequire('', '/x/register.js'), '--require /x/register.js');
  t.equal(withRequire('--enable-source-maps', '/x/register.js'), '--enable-source-maps --require /x/register.js');
  const once = withRequire('--no-warnings', '/x y/register.js');
  t.equal(withRequire(once, '/x y/register.js'), once);
  t.equal(withRequire('-r /x/register.js', '/x/register.js'), '-r /x/register.js');
  t.equal(withRequire('--require "/x', '/y.js'), undefined);
  t.end();
});

void t.test(
  'Node loads a hook whose path has blanks, quotes and backslashes',
  { skip: process.platform === 'win32' && 'no such names' },
  (t) => {
    for (const name of ['plain', 'with blank', 'with "quotes"', 'back\\slash', "it's $HOME `x` é"]) {
      const directory = path.join(t.testdir({}), name);
      fs.mkdirSync(directory, { recursive: true });
      const file = path.join(directory, 'hook.js');
      // Loaders of the test runner may have a thread of their own, which preloads too (Node 22).
      fs.writeFileSync(file, 'if (require("node:worker_threads").isMainThread) process.stdout.write("hooked ")');
      const { stdout, stderr } = spawnSync(process.execPath, ['-p', 'process.title'], {
        encoding: 'utf8',
        env: { ...process.env, NODE_OPTIONS: withRequire('--title=kept', file) },
      });
      t.equal(stdout, 'hooked kept\n', `${name}: ${stderr}`);
    }
    t.equal(quoteNodeOption('plain'), 'plain');
    t.end();
  },
);
