/** Real programs through a pair of bridges. Each case asserts what came, and tells it in a line. */
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { STP } from '../../cli/stp-process';
import { HOST } from '../kit';
import { check, hashOf, type Stage } from './stage';

export interface Case {
  readonly name: string;
  /** Commands, or files with their whole names. */
  readonly needs: readonly string[];
  /** Of Debian, which has them. */
  readonly packages: readonly string[];
  /** Too slow for `npm test`. */
  readonly long?: boolean;
  run(stage: Stage): Promise<string>;
}

const FILE_BYTES = 8 << 20;
const POSTGRES = '/usr/lib/postgresql/15/bin';
const number = (pattern: RegExp, text: string): string => pattern.exec(text)?.[1] ?? '?';

async function redis(stage: Stage): Promise<string> {
  const port = await stage.freePort();
  await stage.serve(port, [
    'redis-server',
    '--port',
    String(port),
    '--bind',
    HOST,
    '--save',
    '',
    '--dir',
    stage.directory,
  ]);
  await stage.far(6379, port);
  const [near = 0] = await stage.near('-L', '0:far:6379');
  const cli = ['redis-cli', '-p', String(near)];
  const value = randomBytes(1 << 20).toString('hex');
  check('redis-cli SET', (await stage.run([...cli, '-x', 'SET', 'key'], { input: value })).trim(), 'OK');
  check('redis-cli GET', (await stage.run([...cli, 'GET', 'key'])).trim(), value);
  const length = await stage.hooked(
    `const s = require('net').connect(6379, 'far'); s.write('STRLEN key\\r\\nQUIT\\r\\n'); s.pipe(process.stdout)`,
  );
  check('a hooked client', length.split('\r\n')[0], `:${value.length}`);
  const bench = await stage.run(['redis-benchmark', '-p', String(near), '-t', 'set,get', '-n', '20000', '-q']);
  const rate = number(/GET: ([\d.]+) req/u, bench);
  return `redis-cli 2 MiB there and back, a hooked client, redis-benchmark ${rate} GET/s`;
}

async function postgres(stage: Stage): Promise<string> {
  const port = await stage.freePort();
  const data = stage.folder('data');
  const asNobody = { asNobody: true, env: { PGPASSWORD: 'unused' } };
  await stage.run([`${POSTGRES}/initdb`, '-D', data, '-U', 'postgres', '--auth=trust', '--no-sync'], asNobody);
  const server = [`${POSTGRES}/postgres`, '-D', data, '-p', String(port), '-k', data, '-c', `listen_addresses=${HOST}`];
  await stage.serve(port, [...server, '-c', 'fsync=off'], asNobody);
  await stage.far(5432, port);
  const [near = 0] = await stage.near('-L', '0:far:5432');
  const at = ['-h', HOST, '-p', String(near), '-U', 'postgres'];
  const sum = await stage.run(['psql', ...at, '-Atc', 'SELECT sum(n), count(*) FROM generate_series(1, 100000) n']);
  check('psql', sum.trim(), '5000050000|100000');
  const rows = await stage.run(['psql', ...at, '-Atc', "SELECT repeat('x', 100) FROM generate_series(1, 50000)"]);
  check('rows', rows.length, 50_000 * 101);
  await stage.run([`${POSTGRES}/pgbench`, ...at, '-i', '-q', 'postgres']);
  const bench = await stage.run([`${POSTGRES}/pgbench`, ...at, '-c', '8', '-T', '5', 'postgres']);
  check('failed transactions', number(/failed transactions: (\d+)/u, bench), '0');
  return `psql 5 MB of rows, pgbench ${number(/tps = ([\d.]+)/u, bench)} transactions/s, 0 failed`;
}

/** nginx with a file; its TCP port. */
async function nginx(stage: Stage, files: Readonly<Record<string, Buffer | string>>): Promise<number> {
  const port = await stage.freePort();
  for (const [name, content] of Object.entries(files)) stage.file(`www/${name}`, content);
  const at = (name: string): string => path.join(stage.directory, name);
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `${name}_temp_path ${at(name)};`)
    .join(' ');
  const user = process.getuid?.() === 0 ? 'user root;' : '';
  const config = stage.file(
    'nginx.conf',
    `${user} daemon off; worker_processes 1; pid ${at('nginx.pid')}; error_log ${at('error.log')}; events {} ` +
      `http { access_log off; ${temporary} server { listen ${HOST}:${port}; root ${at('www')}; } }`,
  );
  await stage.serve(port, ['/usr/sbin/nginx', '-c', config, '-e', at('error.log')]);
  return port;
}

async function web(stage: Stage): Promise<string> {
  const file = randomBytes(FILE_BYTES);
  await stage.far(80, await nginx(stage, { 'file.bin': file, 'index.html': 'hello' }));
  const [near = 0, socks = 0, proxy = 0] = await stage.near('-L', '0:far:80', '-D', '0', '-H', '0');
  const curl = ['curl', '-sSf', '--noproxy', ''];
  for (const how of [
    [`http://${HOST}:${near}/file.bin`],
    ['--proxy', `socks5h://${HOST}:${socks}`, 'http://far/file.bin'],
    ['--proxytunnel', '--proxy', `http://${HOST}:${proxy}`, 'http://far/file.bin'],
    ['--proxy', `http://${HOST}:${proxy}`, 'http://far/file.bin'],
  ])
    check(`curl ${how.join(' ')}`, hashOf(await stage.runRaw([...curl, ...how])), hashOf(file));
  const hooked = await stage.hooked(
    `require('http').get('http://far/file.bin', (r) => { const h = require('crypto').createHash('sha256');` +
      `r.on('data', (d) => h.update(d)).on('end', () => process.stdout.write(h.digest('hex'))) })`,
  );
  check('a hooked client', hooked, hashOf(file));
  const bench = await stage.run(['wrk', '-t1', '-c32', '-d4s', `http://${HOST}:${near}/`]);
  check('errors of wrk', /Socket errors|Non-2xx/u.exec(bench), null);
  const rate = number(/Requests\/sec:\s+([\d.]+)/u, bench);
  return `curl by -L, SOCKS, CONNECT and -H, 8 MiB each, a hooked client, wrk ${rate} requests/s`;
}

/** A sshd of our own on loopback: its TCP port, and what a client needs to get in. */
export async function sshd(stage: Stage): Promise<{ port: number; options: readonly string[] }> {
  const port = await stage.freePort();
  for (const name of ['host_key', 'id']) {
    const file = path.join(stage.directory, name);
    await stage.run(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', file]);
  }
  const at = (name: string): string => path.join(stage.directory, name);
  if (process.getuid?.() === 0) fs.mkdirSync('/run/sshd', { recursive: true });
  const config = stage.file(
    'sshd_config',
    `ListenAddress ${HOST}:${port}\nHostKey ${at('host_key')}\nAuthorizedKeysFile ${at('id.pub')}\nStrictModes no\n` +
      `UsePAM no\nPasswordAuthentication no\nPidFile none\nSubsystem sftp internal-sftp\n`,
  );
  await stage.serve(port, ['/usr/sbin/sshd', '-D', '-e', '-f', config]);
  const options = [
    '-F',
    'none',
    '-i',
    at('id'),
    '-o',
    'StrictHostKeyChecking=no',
    '-o',
    'UserKnownHostsFile=/dev/null',
  ];
  return { port, options };
}

async function ssh(stage: Stage): Promise<string> {
  const at = (name: string): string => path.join(stage.directory, name);
  const { port, options } = await sshd(stage);
  await stage.far(22, port);
  const proxy = `ProxyCommand=${process.execPath} ${STP} bridge -W %h:%p`;
  const env = { STP_REGION: stage.region, STP_SYSTEM: 'near' };
  const file = randomBytes(FILE_BYTES);
  const user = `${os.userInfo().username}@far`;
  const told = await stage.run(['ssh', ...options, '-o', proxy, user, 'cat; exit 0'], { env, input: 'over -W' });
  check('ssh by -W', told, 'over -W');
  stage.file('sent.bin', file);
  await stage.run(['scp', '-q', ...options, '-o', proxy, at('sent.bin'), `${user}:${at('came.bin')}`], { env });
  check('scp by -W', hashOf(fs.readFileSync(at('came.bin'))), hashOf(file));
  const [near = 0] = await stage.near('-L', '0:far:22');
  const direct = ['ssh', ...options, '-p', String(near), user.replace('far', HOST)];
  check('ssh by -L', hashOf(await stage.runRaw([...direct, `cat ${at('sent.bin')}`])), hashOf(file));
  return 'ssh and scp by -W as ProxyCommand, ssh by -L, 8 MiB each';
}

async function git(stage: Stage): Promise<string> {
  const at = (name: string): string => path.join(stage.directory, name);
  const source = ['git', '-C', at('source'), '-c', 'user.name=test', '-c', 'user.email=test@localhost'];
  await stage.run(['git', 'init', '-q', at('source')]);
  stage.file('source/file.bin', randomBytes(1 << 20));
  await stage.run([...source, 'add', '.']);
  await stage.run([...source, 'commit', '-qm', 'one']);
  fs.mkdirSync(at('www'));
  await stage.run(['git', 'clone', '-q', '--bare', at('source'), at('www/repo.git')]);
  await stage.run(['git', '-C', at('www/repo.git'), 'update-server-info']);
  await stage.far(80, await nginx(stage, {}));
  const [near = 0, socks = 0] = await stage.near('-L', '0:far:80', '-D', '0');
  const head = await stage.run([...source, 'rev-parse', 'HEAD']);
  await stage.run(['git', 'clone', '-q', `http://${HOST}:${near}/repo.git`, at('one')]);
  await stage.run([
    'git',
    '-c',
    `http.proxy=socks5h://${HOST}:${socks}`,
    'clone',
    '-q',
    'http://far/repo.git',
    at('two'),
  ]);
  for (const name of ['one', 'two']) {
    check(name, await stage.run(['git', '-C', at(name), 'rev-parse', 'HEAD']), head);
    await stage.run(['git', '-C', at(name), 'fsck', '--strict']);
  }
  return 'git clone by -L and by SOCKS, git fsck';
}

async function chromium(stage: Stage): Promise<string> {
  const page = '<p id="p">no</p><script src="a.js"></script>';
  await stage.far(80, await nginx(stage, { 'index.html': page, 'a.js': `p.textContent = 'script ' + 'ran'` }));
  const [socks = 0] = await stage.near('-D', '0');
  const quiet = ['--disable-gpu', '--disable-quic', '--no-first-run', '--disable-sync', '--disable-component-update'];
  const dom = await stage.run([
    ...['chromium', '--headless', '--no-sandbox', ...quiet, '--disable-background-networking'],
    `--user-data-dir=${path.join(stage.directory, 'profile')}`,
    `--proxy-server=socks5://${HOST}:${socks}`,
    '--dump-dom',
    'http://far/',
  ]);
  check('the page', dom.includes('script ran'), true);
  return 'a page with a script by SOCKS, its name looked up by the region alone';
}

export const CASES: readonly Case[] = [
  {
    name: 'redis',
    needs: ['redis-server', 'redis-cli', 'redis-benchmark'],
    packages: ['redis-server', 'redis-tools'],
    run: redis,
  },
  { name: 'web', needs: ['/usr/sbin/nginx', 'curl', 'wrk'], packages: ['nginx-light', 'curl', 'wrk'], run: web },
  {
    name: 'ssh',
    needs: ['/usr/sbin/sshd', 'ssh', 'scp'],
    packages: ['openssh-server', 'openssh-client'],
    run: ssh,
  },
  { name: 'git', needs: ['git', '/usr/sbin/nginx'], packages: ['git', 'nginx-light'], run: git },
  { name: 'postgres', needs: [`${POSTGRES}/postgres`, 'psql'], packages: ['postgresql-15'], long: true, run: postgres },
  {
    name: 'chromium',
    needs: ['chromium', '/usr/sbin/nginx'],
    packages: ['chromium', 'nginx-light'],
    long: true,
    run: chromium,
  },
];

/** Debian packages of what is missing for a case. */
export function missing({ needs, packages }: Case): readonly string[] {
  const there = (need: string): boolean =>
    need.startsWith('/')
      ? fs.existsSync(need)
      : (process.env['PATH'] ?? '').split(':').some((folder) => fs.existsSync(path.join(folder, need)));
  return needs.every(there) ? [] : packages;
}
