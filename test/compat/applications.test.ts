/**
 * The runner of the applications: what it takes for a pass, on programs that need no packages; and that its record is
 * whole.
 */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import t, { type Test } from 'tap';
import { type Application, APPLICATIONS } from '../../compat/application-list';
import { type PairOutcome, runPair } from '../../compat/application-pair';
import { settingsOf, whatIsWrong } from '../../compat/application-section';
import { type RunSetting, SETTINGS } from '../../compat/application-settings';
import { kernelTcp } from '../../compat/kernel-tcp';
import { projectRoot } from '../../scripts/project-root';

const WATCHDOG_MS = 60_000;
const LINE: Application = {
  name: 'line',
  server: 'telnet-server',
  client: '../../test/compat/programs/line-client',
  about: '',
};

async function run(t: Test, setting: RunSetting, application = LINE, limitMs = WATCHDOG_MS): Promise<PairOutcome> {
  const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'stp-applications-'));
  t.teardown(() => {
    fs.rmSync(scratch, { recursive: true, force: true });
  });
  const region = path.join(scratch, 'region');
  return runPair({ application, setting, scratch, region, limitMs, ownNetwork: false, prepared: undefined });
}

const named = (name: string): RunSetting => {
  const found = SETTINGS.find((setting) => setting.name === name);
  if (found === undefined) throw new Error(`no setting ${name}`);
  return found;
};

void t.test(
  'a pair passes where its connections go by what they must, and by nothing else',
  { timeout: WATCHDOG_MS },
  async (t) => {
    const [native, both, server] = await Promise.all([
      run(t, named('native')),
      run(t, named('auto both')),
      run(t, named('auto server')),
    ]);
    t.strictSame(native.result, { hello: true });
    t.strictSame(
      [native.client, native.server],
      [
        { stp: 0, tcp: 1 },
        { stp: 0, tcp: 1 },
      ],
    );
    t.strictSame(
      [both.client, both.server, both.reasons],
      [{ stp: 1, tcp: 0 }, { stp: 1, tcp: 0 }, ['LISTENER_FOUND']],
    );
    t.strictSame([server.client, server.server, server.reasons], [{ stp: 0, tcp: 1 }, { stp: 0, tcp: 1 }, []]);
    for (const [name, outcome] of Object.entries({ native, 'auto both': both, 'auto server': server }))
      t.strictSame(whatIsWrong(named(name), outcome, native), [], name);
    t.match(whatIsWrong(named('auto both'), native, native).join(), 'client: 0 connections by stp, 1 by tcp');
    t.match(whatIsWrong(named('region full'), both, native).join(), 'reasons LISTENER_FOUND, expected REGION_UNUSABLE');
    t.match(
      whatIsWrong(named('native'), { ...native, result: { hello: false } }, native).join(),
      'the client told {"hello":false}',
    );
    t.equal(both.kernel, undefined, 'nothing is counted in a network that others use');
    const kernel = { opens: 1, unrouted: 2, sockets: 3 };
    t.match(whatIsWrong(named('stp mapped'), { ...both, reasons: ['MODE_STP'], kernel }, native), [
      /opened 1 TCP/u,
      /2 connects were tried/u,
      /3 TCP sockets/u,
    ]);
  },
);

void t.test('a program that fails, tells nothing or does not end is told of', { timeout: WATCHDOG_MS }, async (t) => {
  const [silent, missing, endless] = await Promise.all([
    run(t, named('native'), { ...LINE, client: 'kit' }),
    run(t, named('native'), { ...LINE, client: 'no-such-program' }),
    run(t, named('native'), { ...LINE, client: 'telnet-server' }, 3000),
  ]);
  t.match(silent.failure, 'the client told nothing');
  t.match(missing.failure, /client: exit code 1[^]*no-such-program/u);
  t.match(endless.failure, 'not done after 3 s');
});

void t.test(
  'what a server has left behind is ended with it, however it ends',
  { timeout: WATCHDOG_MS, skip: !fs.existsSync('/proc/self/environ') && 'no /proc' },
  async (t) => {
    const server = '../../test/compat/programs/daemon-server';
    const outcome = await run(t, named('native'), {
      ...LINE,
      server,
      client: '../../test/compat/programs/told-client',
    });
    const { daemon } = outcome.result as { daemon: number };
    t.ok(daemon > 0);
    // It may still lie about, for whoever is its parent now to fetch it.
    const state = (): string | undefined => {
      try {
        return /\) (\S)/u.exec(fs.readFileSync(`/proc/${daemon}/stat`, 'utf8'))?.[1];
      } catch {
        return undefined;
      }
    };
    for (let i = 0; i < 100 && ![undefined, 'Z'].includes(state()); i++)
      await new Promise((resolve) => setTimeout(resolve, 50));
    t.ok([undefined, 'Z'].includes(state()), `the daemon is ${state() ?? 'gone'}`);
  },
);

void t.test('what the kernel counted is read from its files, or not at all', (t) => {
  const snmp = 'Ip: A OutNoRoutes B\nIp: 1 5 9\nTcp: ActiveOpens PassiveOpens\nTcp: 2 3\n';
  const sockstat = 'sockets: used 9\nTCP: inuse 4 orphan 0\n';
  t.strictSame(kernelTcp({ snmp, sockstat, snmp6: 'Ip6OutNoRoutes\t7\n', sockstat6: 'TCP6: inuse 1\n' }), {
    opens: 5,
    unrouted: 12,
    sockets: 5,
  });
  t.strictSame(kernelTcp({ snmp, sockstat }), { opens: 5, unrouted: 5, sockets: 4 });
  t.equal(kernelTcp({}), undefined);
  t.throws(() => kernelTcp({ snmp: 'Tcp: Other\nTcp: 1\n', sockstat }), /no Tcp ActiveOpens/u);
  t.end();
});

interface Recorded {
  readonly applications: {
    readonly applications: readonly {
      readonly name: string;
      readonly about: string;
      readonly runs: readonly {
        readonly setting: string;
        readonly outcome: string;
        readonly transport: string;
        readonly kernelTcpConnects?: number;
      }[];
    }[];
  };
}

void t.test('the recorded run has every application in each of its settings', (t) => {
  const { applications } = JSON.parse(
    fs.readFileSync(path.join(projectRoot(), 'compat/results/applications.json'), 'utf8'),
  ) as Recorded;
  t.strictSame(
    applications.applications.map(({ name, about }) => ({ name, about })),
    APPLICATIONS.map(({ name, about }) => ({ name, about })),
  );
  for (const [index, { name, runs }] of applications.applications.entries()) {
    t.strictSame(
      runs.map(({ setting, outcome }) => `${setting}: ${outcome}`),
      settingsOf(APPLICATIONS[index] ?? LINE, SETTINGS).map((setting) => `${setting.name}: pass`),
      name,
    );
    t.ok(
      runs.every(({ transport, kernelTcpConnects }) => transport === 'tcp' || kernelTcpConnects === 0),
      `${name}: no connect of kernel TCP`,
    );
  }
  t.end();
});
