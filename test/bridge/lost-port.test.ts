/** A forward that has lost its port in the region: a bridge says so, and listens again once it can. */
import path from 'node:path';
import fs from 'node:fs';
import { once } from 'node:events';
import t from 'tap';
import { freshRegion } from '../calls/actor';
import { BridgeProcess, connectTcp, drained, HOST, serveTcp } from './kit';

const LEASE_MS = 1000;
const PORT = 4830;

/** Processes with different names are on different hosts, as far as they can tell; those of one system share ports. */
const onHost = (host: string, system: string): Record<string, string> => ({
  NODE_OPTIONS: `--require ${path.join(__dirname, '..', 'crashes', 'other-host.js')}`,
  STP_TEST_HOST: host,
  STP_SYSTEM: system,
  STP_LEASE_MS: String(LEASE_MS),
});

void t.test('a bridge that was stopped past its lease listens again once its port is free', async (t) => {
  const region = freshRegion(t);
  const [first, second] = [
    await serveTcp(t, (socket) => socket.end('first')),
    await serveTcp(t, (socket) => socket.end('second')),
  ];
  const bridge = new BridgeProcess(t, region, ['-R', `${PORT}:${HOST}:${first}`], onHost('one', 'far'));
  await bridge.ports(1);
  const near = new BridgeProcess(t, region, ['-L', `0:far:${PORT}`, '--retry', '20'], onHost('two', 'near'));
  const [port = 0] = await near.ports(1);
  const ask = async (): Promise<string> => String(await drained(await connectTcp(t, port)));
  t.equal(await ask(), 'first');

  // The heir waits for the port: a reload keeps trying.
  const file = path.join(t.testdir({ 'bridge.conf': '-D 0\n' }), 'bridge.conf');
  const heir = new BridgeProcess(t, region, ['--config', file], onHost('three', 'far'));
  await heir.ports(1);
  bridge.child.kill('SIGSTOP');
  fs.writeFileSync(file, `-D 0\n-R ${PORT}:${HOST}:${second}\n`);
  await heir.tells(({ event, forward }) => event === 'listening' && forward?.port === PORT);
  bridge.child.kill('SIGCONT');
  t.match(await bridge.tells(({ event }) => event === 'lost'), {
    holder: new RegExp(`^pid ${heir.child.pid ?? 0} `, 'u'),
  });
  t.equal(await ask(), 'second', 'meanwhile the other one is asked');

  heir.child.kill('SIGTERM');
  await once(heir.child, 'exit');
  await bridge.tells(() => bridge.told.filter(({ event }) => event === 'listening').length === 2);
  t.equal(await ask(), 'first');
  bridge.child.kill('SIGTERM');
  t.same(await bridge.ended(), [0, null], 'what was lost for a while is no failure');
});
