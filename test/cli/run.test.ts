/** `stp run` is not there: environment aside, the command runs, is signalled and ends as without it. */
import { type ChildProcess } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { parseNodeOptions } from '../../src/cli/node-options';
import { registerPath } from '../../src/cli/run';
import { startStp, stp } from './stp-process';

const SHOW = 'console.log(JSON.stringify(process.env))';

function environmentOf(
  args: readonly string[],
  env: Record<string, string> = {},
  cwd?: string,
): Record<string, string> {
  // STP_NET=tcp keeps the hook of the command itself out of it.
  const ended = stp(
    ['run', '--net', 'tcp', ...args, '--', process.execPath, '-e', SHOW],
    cwd === undefined ? { env } : { env, cwd },
  );
  if (ended.status !== 0) throw new Error(ended.stderr);
  return JSON.parse(ended.stdout) as Record<string, string>;
}

/** Resolves when the child has printed `text`. */
function printed(child: ChildProcess, text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    let seen = '';
    child.stdout?.on('data', (chunk: Buffer) => {
      seen += chunk.toString();
      if (seen.includes(text)) resolve();
    });
    child.once('exit', () => {
      reject(new Error(`ended after ${JSON.stringify(seen)}`));
    });
  });
}

function end(child: ChildProcess): Promise<[number | null, string | null]> {
  return new Promise((resolve) => {
    child.once('exit', (code, signal) => {
      resolve([code, signal]);
    });
  });
}

void t.test('options become the environment of the command', (t) => {
  const directory = fs.realpathSync(t.testdir({}));
  const env = environmentOf(
    [
      '--region',
      'here/region',
      '--driver',
      'direct',
      '--system',
      'alpha',
      '--group',
      'blue',
      '--rules',
      'auto *',
      '--trace',
    ],
    { NODE_OPTIONS: '--no-warnings' },
    directory,
  );
  t.equal(env['STP_REGION'], path.join(directory, 'here/region'), 'absolute');
  t.match(env, {
    STP_NET: 'tcp',
    STP_DRIVER: 'direct',
    STP_SYSTEM: 'alpha',
    STP_GROUP: 'blue',
    STP_RULES: 'auto *',
    STP_TRACE: '1',
  });
  // The test runner adds words of its own.
  const words = parseNodeOptions(env['NODE_OPTIONS'] ?? '') ?? [];
  t.same(
    words.filter((word) => !word.startsWith('--import=')),
    ['--no-warnings', '--require', registerPath()],
  );
  t.end();
});

void t.test('what no option says stays as it was', (t) => {
  const env = environmentOf([], { STP_SYSTEM: 'beta', OTHER: 'x' });
  t.match(env, { STP_SYSTEM: 'beta', OTHER: 'x' });
  for (const name of ['STP_REGION', 'STP_DRIVER', 'STP_GROUP', 'STP_RULES', 'STP_TRACE']) t.notOk(name in env, name);
  t.end();
});

void t.test('standard streams and the exit code are those of the command', (t) => {
  const ended = stp(
    [
      'run',
      '--',
      process.execPath,
      '-e',
      'process.stdin.pipe(process.stdout); console.error("err"); process.exitCode = 7',
    ],
    { input: 'through' },
  );
  t.match(ended, { status: 7, stdout: 'through', stderr: /^err\n$/ });
  t.end();
});

void t.test('options behind the command are the command’s own', (t) => {
  const ended = stp(['run', process.execPath, '-p', 'process.argv.slice(1).join()', 'x', '--net', 'bogus']);
  t.match(ended, { status: 0, stdout: 'x,--net,bogus\n' });
  t.end();
});

void t.test(
  'a command that dies of a signal makes stp die of it',
  { skip: process.platform === 'win32' && 'no signals' },
  (t) => {
    for (const signal of ['TERM', 'KILL', 'INT', 'HUP', 'USR1', 'SEGV']) {
      const ended = stp(['run', '--', 'sh', '-c', `kill -${signal} $$`]);
      t.equal(ended.signal, `SIG${signal}`);
    }
    t.end();
  },
);

void t.test(
  'signals reach the command, which decides what they mean',
  { skip: process.platform === 'win32' && 'no signals' },
  async (t) => {
    const script = `
    for (const s of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR2']) process.on(s, () => {
      console.log('got ' + s);
      if (s === 'SIGUSR2') process.exit(42);
    });
    setInterval(() => {}, 1000);
    console.log('ready');`;
    const child = startStp(['run', '--', process.execPath, '-e', script]);
    const ended = end(child);
    await printed(child, 'ready');
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const) {
      child.kill(signal);
      await printed(child, `got ${signal}`);
    }
    child.kill('SIGUSR2');
    t.same(await ended, [42, null]);
  },
);

void t.test(
  'a signal that the command does not catch ends both',
  { skip: process.platform === 'win32' && 'no signals' },
  async (t) => {
    const child = startStp([
      'run',
      '--',
      process.execPath,
      '-e',
      'setInterval(() => {}, 1000); console.log("pid", process.pid)',
    ]);
    const ended = end(child);
    await printed(child, 'pid');
    child.kill('SIGTERM');
    t.same(await ended, [null, 'SIGTERM']);
  },
);

void t.test(
  'the hook is loaded in the command and in what it starts',
  { skip: !fs.existsSync(registerPath()) && 'the hook is not built' },
  (t) => {
    const inner =
      'require("child_process").spawnSync(process.execPath, ["-p", ' +
      `"Object.getOwnPropertySymbols(require('net')).length"], { stdio: "inherit" })`;
    const plain = stp(['run', '--net', 'tcp', '--', process.execPath, '-e', inner]);
    t.equal(plain.status, 0, plain.stderr);
    const requires = stp([
      'run',
      '--',
      process.execPath,
      '-p',
      'Object.keys(require.cache).concat(Object.keys(module.constructor._cache)).some((file) => ' +
        `file.endsWith('register.js'))`,
    ]);
    t.equal(requires.stdout, 'true\n', requires.stderr);
    t.end();
  },
);

void t.test('every mistake is told with what would be right', (t) => {
  const file = path.join(t.testdir({ 'script.js': '', 'a-file': '' }), 'a-file');
  const script = path.join(path.dirname(file), 'script.js');
  const cases: [string[], number, RegExp, Record<string, string>?][] = [
    [['run'], 2, /missing required argument 'command'/],
    [['run', '--net', 'udp', '--', 'true'], 2, /--net.*udp.*Allowed choices are auto, stp, tcp/s],
    [['run', '--driver', 'fast', '--', 'true'], 2, /--driver.*Allowed choices are auto, mapped, direct/s],
    [['run', '--system', 'a b', '--', 'true'], 2, /STP_SYSTEM="a b": must be/],
    [['run', '--group', 'x'.repeat(16), '--', 'true'], 2, /STP_GROUP=.*: must be/],
    [['run', '--region', '', '--', 'true'], 2, /STP_REGION="": must be/],
    [['run', '--region', file, '--', 'true'], 2, /a-file: not a directory/],
    [['run', '--regoin', 'x', '--', 'true'], 2, /unknown option '--regoin'.*--region/s],
    [['run', '--', 'no-such-command-here'], 127, /no-such-command-here: command not found/],
    [['run', '--', script], 126, /script\.js: not executable\nTo run a script: stp run -- node /],
    [['run', '--', 'true'], 2, /NODE_OPTIONS has a double quote/, { NODE_OPTIONS: '--require "x' }],
    [['run', '--', 'true'], 2, /STP_DRIVER="fast": must be/, { STP_DRIVER: 'fast' }],
    [['run', '--', 'true'], 2, /STP_NET="udp": must be/, { STP_NET: 'udp' }],
    [
      ['run', '--rules', 'auto *; udp :53', '--', 'true'],
      2,
      /STP_RULES, column 9: "udp" must be 'stp', 'tcp' or 'auto'/,
    ],
    [['walk'], 2, /unknown command 'walk'/],
    [[], 2, /Usage: stp/],
  ];
  for (const [args, status, told, env] of cases) {
    // NODE_OPTIONS of stp itself must be sound: a wrong one is put in by a shell in between.
    const ended =
      env?.['NODE_OPTIONS'] === undefined
        ? stp(args, env === undefined ? {} : { env })
        : brokenOptions(args, env['NODE_OPTIONS']);
    t.equal(ended.status, status, `stp ${args.join(' ')}: ${ended.stderr}`);
    t.match(ended.stderr, told);
    t.equal(ended.stdout, '');
  }
  t.end();
});

/** Node itself refuses such a value at its start, so that it has to come after that. */
function brokenOptions(args: readonly string[], options: string): ReturnType<typeof stp> {
  const hook = path.join(t.testdir({ 'hook.js': `process.env.NODE_OPTIONS = ${JSON.stringify(options)}` }), 'hook.js');
  return stp(args, { env: { NODE_OPTIONS: `--require "${hook}"` } });
}

void t.test('help teaches the product and every command', (t) => {
  const help = stp(['--help']);
  t.equal(help.status, 0);
  for (const word of [
    'run',
    'ss',
    'reset',
    'Examples:',
    'STP_REGION',
    'STP_NET',
    'STP_RULES',
    'STP_DRIVER',
    'STP_SYSTEM',
    'STP_GROUP',
    'STP_TRACE',
    'Exit codes:',
  ]) {
    t.match(help.stdout, word);
  }
  for (const command of ['run', 'ss', 'reset'])
    t.match(stp([command, '--help']), { status: 0, stdout: new RegExp(`Usage: stp ${command}`) });
  t.match(stp(['--version']), { status: 0, stdout: /^\d+\.\d+\.\d+\n$/ });
  t.end();
});
