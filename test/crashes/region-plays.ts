/** Deaths of processes that open a region, clear up after others, or mourn a peer. */
import { Region } from '../../src/region';
import { connectedPair } from '../calls/connected-pair';
import { type Play } from './plays';
import { assert } from './stage';

/** Opens a region that others use. */
export const newcomerPlay: Play = {
  title: 'newcomer',
  points: [
    'open.directory',
    'open.header',
    'open.number',
    'open.liveness-fifo-made',
    'open.liveness-fifo',
    'open.tables',
    'open.starting',
    'open.live',
    'claim.held',
    'slot.published',
  ],
  async run(stage, point) {
    const victim = await stage.victim();
    const playing = victim
      .run((kit, at) => {
        kit.crash.arm(at);
        kit.listen();
        setTimeout(() => {
          process.exit(0);
        }, 100);
      }, point)
      .catch(() => undefined);
    await stage.died(victim, point);
    await playing;
    await stage.check();
  },
};

/** Makes a region, and another has to go on with what is there. */
export const founderPlay: Play = {
  title: 'founder',
  points: [
    'open.directory',
    'open.header-written',
    'open.header',
    'open.number',
    'open.liveness-fifo-made',
    'open.liveness-fifo',
    'open.tables',
    'open.starting',
    'open.live',
    'recovery.listed',
    'recovery.pairs',
  ],
  async run(stage, point) {
    const region = `${stage.region}-of-${point}`;
    const victim = await stage.start('founder', region);
    const playing = victim
      .run((kit, at) => {
        kit.crash.arm(at);
        kit.socket();
        process.exit(0);
      }, point)
      .catch(() => undefined);
    await stage.died(victim, point);
    await playing;
    const next = Region.open({ ...stage.options(), directory: region });
    try {
      assert(next.bindings.bind(4000, 'STG', 1) === 4000, 'a port can be bound');
      assert(next.recovered.complete, 'recovery is complete');
    } finally {
      next.close();
    }
  },
};

/** A server that is at odds with the death of its client. */
export const mournerPlay: Play = {
  title: 'mourner',
  points: ['death.noticed', 'death.log-removed', 'death.dropped', 'reset.told', 'death.told'],
  async run(stage, point) {
    const [victim, doomed] = await Promise.all([stage.victim(), stage.victim()]);
    await connectedPair(victim, doomed);
    await victim.run((kit, at) => {
      kit.crash.arm(at);
    }, point);
    await doomed.kill();
    await stage.died(victim, point);
    await stage.check();
  },
};

/** Clears up after two that were connected. */
export const recoveryPlay: Play = {
  title: 'recoverer',
  points: ['recovery.listed', 'recovery.pair', 'recovery.pairs', 'recovery.process', 'recovery.liveness-fifo'],
  async run(stage, point) {
    const dead = await Promise.all([stage.victim(), stage.victim()]);
    await connectedPair(...dead);
    const victim = await stage.victim();
    // Both at once, so that neither clears up after the other.
    await Promise.all(dead.map((actor) => actor.kill()));
    const playing = victim
      .run((kit, at) => {
        kit.crash.arm(at);
        kit.socket();
        process.exit(0);
      }, point)
      .catch(() => undefined);
    await stage.died(victim, point);
    await playing;
    await stage.check();
  },
};
