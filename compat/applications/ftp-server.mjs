import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import ftp from 'ftp-srv';
import { tell } from './kit.mjs';

const root = mkdtempSync(path.join(tmpdir(), 'compat-ftp-'));
process.on('exit', () => rmSync(root, { recursive: true, force: true }));
process.on('SIGTERM', () => process.exit());
const quiet = { info() {}, warn() {}, error() {}, debug() {}, trace() {}, child: () => quiet };
const server = new ftp.FtpSrv({
  url: 'ftp://127.0.0.1:0',
  pasv_url: '127.0.0.1',
  pasv_min: 20000 + Math.floor(Math.random() * 10000),
  log: quiet,
});
server.on('login', ({ username, password }, resolve, reject) => {
  if (username === 'user' && password === 'secret') resolve({ root });
  else reject(new Error('who are you'));
});
await server.listen();
tell({ port: server.server.address().port });
