/** `npm run demo` works, from its first line to its last. */
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import t from 'tap';

const DEMO = path.join(__dirname, '..', '..', 'examples', 'demo.js');

for (const driver of ['auto', 'direct']) {
  void t.test(`the demo shows what it is to show, driver ${driver}`, (t) => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [DEMO], {
      encoding: 'utf8',
      env: { ...process.env, STP_DRIVER: driver },
      timeout: 90_000,
    });
    t.equal(status, 0, `${stdout}${stderr}`);
    for (const line of [
      /3000 requests over 16 keep-alive connections, each answer right/,
      /upload: 67108864 bytes, sha256 .* at both ends/,
      /download: 67108864 bytes, sha256 .* at both ends/,
      /1000 messages echoed/,
      /State +Recv-Q +Send-Q +Local +Peer/,
      /LISTEN .*:3000 /,
      /first server, pid \d+: echoed .* MiB, then gave the connection away/,
      /second server, pid \d+: took it and echoed/,
      /opened: 0 connections, 0 sockets at most at once|not counted/,
      /Removed the region in/,
      /All as it should be/,
    ]) {
      t.match(stdout, line);
    }
    t.end();
  });
}
