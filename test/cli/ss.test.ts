/** `stp ss` shows what lies in the region, whoever is alive. */
import fs from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { stp } from './stp-process';
import { CONNECTION, LISTENER } from './tenant';
import { endTenant, startTenant } from './tenancy';

interface Json {
  readonly region: { readonly directory: string; readonly limits: { readonly socketsMax: number } };
  readonly sockets: readonly {
    readonly state: string;
    readonly local: object;
    readonly remote: object | null;
    readonly owner: { readonly pid: number; readonly alive: string };
  }[];
  readonly processes: readonly { readonly pid: number; readonly alive: string; readonly state: string }[];
  readonly problems: readonly string[];
}

void t.test('sockets are shown as ss shows them, the dead owner marked', async (t) => {
  const region = path.join(t.testdir({}), 'region');
  const tenant = await startTenant(t, region);
  const live = stp(['ss', '--region', region]);
  t.match(live, { status: 0, stderr: '' });
  const [head, listener, connection, ...rest] = live.stdout.trimEnd().split('\n');
  t.match(head, /^State +Recv-Q +Send-Q +Local +Peer +Received +Sent +Owner$/);
  t.match(
    listener,
    new RegExp(
      `^LISTEN +${LISTENER.waiting} +${LISTENER.backlog} +alpha:${LISTENER.port} +\\* +0 +0 ` +
        `+pid ${tenant.pid ?? 0} \\(#1\\) node `,
    ),
  );
  t.match(
    connection,
    new RegExp(
      `^ESTAB +64 +3 +127\\.0\\.0\\.1:3001 +\\[fd00::2\\]:40000/blue +1234567 +89 ` +
        `+pid ${tenant.pid ?? 0} \\(#1\\) node `,
    ),
  );
  t.same(rest, []);
  t.equal(head?.indexOf('Owner'), listener?.indexOf('pid'), 'columns are aligned');
  t.equal(head?.indexOf('Peer'), connection?.indexOf('[fd00'), 'columns are aligned');

  await endTenant(tenant, 'SIGKILL');
  const dead = stp(['ss'], { env: { STP_REGION: region } });
  t.match(dead.stdout, new RegExp(`ESTAB .* pid ${tenant.pid ?? 0} \\(#1, dead\\) node `));
});

void t.test('--json tells all of it, --listening and --processes choose', async (t) => {
  const region = path.join(t.testdir({}), 'region');
  const tenant = await startTenant(t, region);
  const all = JSON.parse(stp(['ss', '--json', '--region', region]).stdout) as Json;
  t.equal(all.region.directory, region);
  t.ok(all.region.limits.socketsMax > 0);
  t.same(all.problems, []);
  t.match(all.processes, [{ pid: tenant.pid, alive: 'alive', state: 'live' }]);
  t.match(all.sockets[0], {
    state: 'listening',
    local: { system: 'alpha', group: 'STG', port: LISTENER.port },
    remote: null,
    backlog: LISTENER.backlog,
    requestsWaiting: LISTENER.waiting,
  });
  t.match(all.sockets[1], {
    state: 'established',
    local: { system: 'alpha', port: CONNECTION.port, ip: CONNECTION.ip },
    remote: { system: CONNECTION.peer, group: CONNECTION.peerGroup, port: CONNECTION.peerPort, ip: CONNECTION.peerIp },
    bytesReceived: CONNECTION.received,
    bytesSent: CONNECTION.sent,
    receiveQueuedBytes: CONNECTION.unread,
    sendQueuedBytes: CONNECTION.unsent,
    owner: { pid: tenant.pid, thread: 0, process: 1, alive: 'alive' },
  });
  const listening = JSON.parse(stp(['ss', '--json', '-l', '--region', region]).stdout) as Json;
  t.equal(listening.sockets.length, 1);
  t.match(
    stp(['ss', '-p', '--region', region]).stdout,
    new RegExp(`\\n +1 +live +alpha +STG +${tenant.pid ?? 0} +0 +2 +\\d{4}-\\d\\d-\\d\\dT`),
  );
});

void t.test('where there is nothing to show it says so, and what to do', async (t) => {
  const directory = t.testdir({ empty: {}, file: 'x' });
  for (const name of ['nowhere', 'empty']) {
    t.match(
      stp(['ss', '--region', path.join(directory, name)]),
      { status: 1, stdout: '', stderr: /there is no region in .*\n.*stp run -- node server\.js/ },
      name,
    );
  }
  t.match(stp(['ss', '--region', path.join(directory, 'file')]), { status: 1, stdout: '', stderr: /ESTPREGION/ });
  t.match(stp(['ss', '--region', '']), { status: 2, stderr: /STP_REGION="": must be/ });
  t.match(stp(['ss', 'extra']), { status: 2, stderr: /too many arguments/ });

  const region = path.join(directory, 'region');
  await endTenant(await startTenant(t, region), 'leave');
  t.match(stp(['ss', '--region', region]), {
    status: 0,
    stdout: /No sockets in the region .*; live processes: 0\.\n.*stp run/,
  });
});

void t.test('damaged files are told of, and the rest is shown', async (t) => {
  const region = path.join(t.testdir({}), 'region');
  const first = await startTenant(t, region);
  const second = await startTenant(t, region, 'beta');
  await endTenant(first, 'SIGKILL');
  fs.writeFileSync(path.join(region, 'processes', '1'), Buffer.alloc(3 * 4096, 0xa5));
  const seen = stp(['ss', '--region', region]);
  t.equal(seen.status, 1);
  t.match(seen.stderr, /^stp: processes\/1/);
  t.match(seen.stdout, `pid ${second.pid ?? 0} (#2)`);
  const json = JSON.parse(stp(['ss', '--json', '--region', region]).stdout) as Json;
  t.equal(json.problems.length, 1);
  t.equal(json.sockets.length, 2);
});

void t.test('it reads only: nothing in the region changes', async (t) => {
  const region = path.join(t.testdir({}), 'region');
  const tenant = await startTenant(t, region);
  await endTenant(tenant, 'SIGKILL');
  const files = (): string[] =>
    fs.readdirSync(region, { recursive: true, withFileTypes: true }).map((entry) => {
      const { size, mtimeMs } = fs.statSync(path.join(entry.parentPath, entry.name));
      return `${entry.name} ${size} ${mtimeMs}`;
    });
  const before = files();
  stp(['ss', '--region', region]);
  t.same(files(), before);
});
