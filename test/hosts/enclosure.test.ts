/** What `npm run test:hosts` starts and mounts is gone when it ends, however it ends. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { until } from '../region/kit';

const PROGRAM = path.join(__dirname, 'enclosed-program.js');
const canEnclose =
  process.getuid?.() === 0 && spawnSync('unshare', ['--net', '--mount', '--pid', '--fork', 'true']).status === 0;

/** True where a process with just this argument lives. */
function lives(name: string): boolean {
  return fs.readdirSync('/proc').some((pid) => {
    try {
      return /^\d+$/u.test(pid) && fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8') === `sleep\0${name}\0`;
    } catch {
      return false;
    }
  });
}

for (const [signal, code] of [
  ['SIGTERM', 143],
  ['SIGINT', 130],
  ['SIGKILL', null],
] as const) {
  void t.test(
    `${signal} to the program takes along what it has started and mounted inside`,
    { skip: canEnclose ? false : 'needs root and namespaces' },
    async (test) => {
      const name = `${100_000 + process.pid}.${signal.length}${signal.charCodeAt(3)}`;
      const outer = spawn(process.execPath, [PROGRAM, name], { stdio: ['ignore', 'pipe', 'inherit'] });
      const ended = once(outer, 'exit') as Promise<[number | null]>;
      let told = '';
      outer.stdout.setEncoding('utf8').on('data', (text: string) => {
        told += text;
      });
      await until(() => /inside \S+\n/u.test(told));
      const [, directory = ''] = /inside (\S+)\n/u.exec(told) ?? [];
      test.ok(lives(name));
      outer.kill(signal);
      test.equal((await ended)[0], code);
      await until(() => !lives(name));
      test.notOk(fs.readFileSync('/proc/self/mountinfo', 'utf8').includes(directory));
      if (signal === 'SIGKILL') fs.rmdirSync(directory);
      else test.notOk(fs.existsSync(directory));
    },
  );
}
