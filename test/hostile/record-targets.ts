/**
 * Records of a peer that says what it likes, well formed or not, to an engine with sockets in every state; a connection
 * of a third process must not notice.
 */
import { dispatch } from '../../src/engine';
import {
  ConnectPayload,
  FreezePayload,
  GonePayload,
  HandState,
  type Layout,
  MovePayload,
  Reason,
  RecordType,
  SocketName,
  TakePayload,
  Total,
} from '../../src/layout';
import { Network, type Probe } from '../engine/network';
import { Random } from '../engine/random';
import { damaged, limitNumber } from './mutate';
import { type Target } from './target';

const [ENEMY, VICTIM, BYSTANDER] = [1, 2, 3] as const;
/** Records that one network takes before it is looked at and replaced. */
const RECORDS_MAX = 400;
const PORT = 80;

const LAYOUTS: Readonly<Record<number, Layout>> = {
  [RecordType.connect]: ConnectPayload,
  [RecordType.ask]: ConnectPayload,
  [RecordType.accept]: SocketName,
  [RecordType.cancel]: SocketName,
  [RecordType.refuse]: Reason,
  [RecordType.decline]: Reason,
  [RecordType.reset]: Reason,
  [RecordType.takeRefuse]: Reason,
  [RecordType.credit]: Total,
  [RecordType.fin]: Total,
  [RecordType.freeze]: FreezePayload,
  [RecordType.frozen]: FreezePayload,
  [RecordType.thaw]: FreezePayload,
  [RecordType.handReady]: FreezePayload,
  [RecordType.gone]: GonePayload,
  [RecordType.take]: TakePayload,
  [RecordType.handState]: HandState,
  [RecordType.move]: MovePayload,
  [RecordType.attach]: MovePayload,
  [RecordType.claim]: MovePayload,
};

interface Scene {
  readonly network: Network;
  readonly honest: readonly [Probe, Probe];
  readonly seed: number;
  readonly random: Random;
  records: number;
}

function stage(seed: number): Scene {
  const network = new Network({ mechanism: 'ring', processes: 3, seed });
  const honest = network.pair(BYSTANDER, VICTIM);
  network.listen(VICTIM, PORT);
  const [, half] = network.pair(ENEMY, VICTIM);
  half.shutdown('w');
  network.pair(ENEMY, VICTIM)[1].send('some bytes');
  network.pair(VICTIM, ENEMY)[0].give();
  network.listen(ENEMY, PORT + 1, 0);
  network.connect(VICTIM, ENEMY, PORT + 1);
  const [, closing] = network.pair(ENEMY, VICTIM);
  closing.close();
  const [given] = network.pair(ENEMY, BYSTANDER);
  network.take(VICTIM, given.give());
  network.settle();
  return { network, honest, seed, random: new Random(seed), records: 0 };
}

function payloadOf(type: number, random: Random): Buffer {
  const layout = LAYOUTS[type];
  if (layout === undefined || random.chance(0.2)) return Buffer.from(random.bytes(random.pick([0, 1, 8, 16, 48, 300])));
  const payload = Buffer.alloc(layout.sizeBytes);
  for (const { at, kind, size } of Object.values(layout.fields)) {
    if (kind === 'u64') {
      payload.writeUInt32LE(limitNumber(random), at);
      if (random.chance(0.2)) payload.writeUInt32LE(limitNumber(random), at + 4);
    } else if (kind === 'u32') payload.writeUInt32LE(random.chance(0.6) ? random.below(8) : limitNumber(random), at);
    else if (kind === 'text')
      payload.write(random.pick(['STG', 'h1', 'h2', '', '\0', '../x', 'x'.repeat(size ?? 1)]), at, size ?? 1, 'latin1');
  }
  return random.chance(0.2) ? damaged(payload, random) : payload;
}

function attack({ network }: Scene, random: Random): void {
  const { engine } = network.process(VICTIM);
  const peer = engine.peer(ENEMY);
  if (peer === undefined) throw new Error('the enemy is gone');
  const type = random.chance(0.05) ? random.below(65_536) : random.below(26);
  const targets = engine.sockets.filter((socket) => socket !== undefined);
  const target = random.chance(0.85) && targets.length > 0 ? random.pick(targets) : undefined;
  const named = type === RecordType.connect || type === RecordType.ask || type === RecordType.cancel;
  const index = named ? PORT + random.below(2) : (target?.index ?? limitNumber(random));
  const generation = target !== undefined && random.chance(0.9) ? target.generation : limitNumber(random);
  const payload = payloadOf(type, random);
  const source = random.below(65_536);
  const { length: lengthBytes } = payload;
  dispatch(engine, peer, { type, source, socket: index, generation, bytes: payload, at: 0, lengthBytes });
}

function lookAtHonest({ network, honest: [client, server] }: Scene): void {
  client.send('still here');
  network.settle();
  if (server.receive().toString() !== 'still here' || client.told.includes('reset') || server.told.includes('reset'))
    throw new Error('a connection of another process was harmed');
}

/** State lasts over several inputs, which all follow from the seed of the first. */
export function recordTarget(): Target {
  let scene: Scene | undefined;
  return {
    name: 'records',
    errors: [],
    firstSeed: () => scene?.seed ?? 0,
    run(_, seed) {
      scene ??= stage(seed);
      attack(scene, scene.random);
      scene.records++;
      if (scene.records % 40 === 0) scene.network.round(50);
      if (scene.records < RECORDS_MAX) return;
      lookAtHonest(scene);
      scene = undefined;
    },
  };
}
