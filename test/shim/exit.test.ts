/** Who keeps a process alive, what an idle one costs, and what the peers see when it ends. */
import t from 'tap';
import { exitPrograms } from './exit-programs';
import { node, REGISTER, scratch } from './kit';

const PRELUDE = `
  const net = require('node:net');
  const { spawn, fork } = require('node:child_process');
  const { once } = require('node:events');
`;

async function program(
  text: string,
  env: Record<string, string> = {},
): Promise<{ lines: string[]; code: number | null; stderr: string }> {
  const place = scratch();
  const { stdout, stderr, code } = await node(['--require', REGISTER, '-e', PRELUDE + text], {
    STP_REGION: place.region,
    STP_NET: 'stp',
    ...env,
  });
  place.remove();
  return { lines: stdout.trim().split('\n'), code, stderr };
}

/** How long what holds nothing may live on, milliseconds: the timer does not hold the process itself. */
const KEPT_MS = 600;
const SETTLED = `
  const settled = () => setTimeout(() => { console.log('kept'); process.exit(); }, ${KEPT_MS}).unref();
  process.once('exit', () => console.log('exit'));
`;

void t.test('what keeps a process alive over TCP does so over STP, and nothing else does', async (t) => {
  for (const [name, { ends, program: text }] of Object.entries(exitPrograms)) {
    const modes = ['tcp', 'stp', 'auto'];
    const seen = await Promise.all(modes.map((mode) => program(SETTLED + text, { STP_NET: mode })));
    for (const [at, { lines, code, stderr }] of seen.entries())
      t.same([code, lines], [0, ends ? ['exit'] : ['kept', 'exit']], `${name}, ${modes[at]}: ${stderr}`);
  }
});

void t.test('an open server or socket keeps the process alive, and ref takes an unref back', async (t) => {
  const { lines } = await program(`
    const server = net.createServer((socket) => socket.on('end', () => console.log('end at the server')));
    server.listen(0, () => {
      const socket = net.connect(server.address().port, () => {
        server.close();
        socket.unref().ref();
        setTimeout(() => { console.log('still here'); socket.end(); }, 300).unref();
      });
      socket.on('close', () => console.log('closed'));
    });
    process.on('exit', () => console.log('exit'));
  `);
  t.same(lines.slice(0, 2), ['still here', 'end at the server']);
  t.same(lines.slice(2), ['closed', 'exit']);
});

void t.test('an idle process with open connections uses next to no processor time', async (t) => {
  const { lines, stderr } = await program(`
    const server = net.createServer(() => {}).listen(0, () => {
      let open = 0;
      for (let i = 0; i < 20; i += 1) net.connect(server.address().port, () => {
        open += 1;
        if (open === 20) setTimeout(measure, 500);
      });
      const measure = () => {
        const before = process.cpuUsage();
        setTimeout(() => {
          const { user, system } = process.cpuUsage(before);
          console.log(open, (user + system) / 1000);
          process.exit();
        }, 2000);
      };
    });
  `);
  const [open, usedMs] = (lines[0] ?? '').split(' ').map(Number);
  t.equal(open, 20, stderr);
  t.ok((usedMs ?? Infinity) < 200, `${usedMs} ms of 2000`);
});

void t.test('what a process sent before it ended arrives, however it ends', async (t) => {
  const child = (how: string): string => `
    const socket = require('node:net').connect(Number(process.argv[1]), () => {
      socket.write('last words', () => { ${how} });
    });
  `;
  const ways: Record<string, [string, RegExp]> = {
    'process.exit': ['process.exit();', /^last words (end|ECONNRESET)$/],
    'an uncaught exception': ["throw new Error('oh');", /^last words (end|ECONNRESET)$/],
    'end, and nothing left to do': ['socket.end();', /^last words end$/],
    'kill -9': ["process.kill(process.pid, 'SIGKILL');", /^last words end$/],
  };
  for (const [name, [how, expected]] of Object.entries(ways)) {
    const { lines } = await program(`
      const server = net.createServer((socket) => {
        let text = '';
        socket.on('data', (chunk) => (text += chunk));
        socket.on('end', () => console.log(text, 'end')).on('error', (error) => console.log(text, error.code));
        server.close();
      }).listen(0, () => {
        const program = [...process.execArgv.slice(0, 2), '-e', ${JSON.stringify(child(how))}];
        spawn(process.execPath, [...program, String(server.address().port)], { stdio: 'ignore' });
      });
    `);
    t.match(lines[0], expected, name);
  }
});

/** A server that tells its port. */
const HELLO = `
  const server = require('node:net').createServer((socket) => socket.write('hello'));
  server.listen(0, () => console.log(server.address().port));
`;

void t.test('a client whose server dies learns of it, also while it only waits', async (t) => {
  const { lines, stderr } = await program(`
    const program = ${JSON.stringify(HELLO)};
    const stdio = ['ignore', 'pipe', 'inherit'];
    const child = spawn(process.execPath, [...process.execArgv.slice(0, 2), '-e', program], { stdio });
    child.stdout.once('data', (port) => {
      const socket = net.connect(Number(port));
      socket.once('data', () => child.kill('SIGKILL'));
      socket.on('error', (error) => console.log(error.message));
      socket.on('close', (hadError) => {
        console.log('close', hadError);
        net.connect(Number(port)).on('error', (error) => console.log(error.code));
      });
    });
  `);
  t.same(lines, ['close false', 'ECONNREFUSED'], stderr);
});
