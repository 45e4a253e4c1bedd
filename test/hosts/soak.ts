/** A soak between two hosts: half of its processes on each. */
import path from 'node:path';
import { MESSAGE_PREFIX } from '../soak/channel';
import { type ToSupervisor } from '../soak/messages';
import { SOAK_PROCESS, type SoakChild, type SoakPlace } from '../soak/place';
import { Soak } from '../soak/soak';
import { runSoak } from '../soak/verdict';
import { type Stand } from './host';
import { HostActor } from './host-actor';

const REGION = 'region-soak';

function twoHosts(stand: Stand): SoakPlace {
  return {
    load: stand.soakLoad,
    region: path.join(stand.directory, REGION),
    leaseMs: stand.leaseMs,
    clockMs: stand.clockMs,
    // On a host: what is done beside a file server, its clients see after a minute or two.
    makeOld: async () => {
      const [host] = stand.hosts;
      const actor = await HostActor.start(host, { region: REGION, system: 'soak', leaseMs: stand.leaseMs });
      await actor.run(
        (kit, directory) => {
          kit.makeOld(directory);
        },
        path.posix.join(host.directory, REGION, 'processes'),
      );
      await actor.kill();
    },
    visit: async () => {
      const numbers: number[] = [];
      for (const host of stand.hosts) {
        const actor = await HostActor.start(host, { region: REGION, system: 'soak', leaseMs: stand.leaseMs });
        numbers.push(
          await actor.run(
            (kit, directory) => kit.visitRegion(directory, 'soak'),
            path.posix.join(host.directory, REGION),
          ),
        );
        await actor.kill();
      }
      return numbers;
    },
    start: (slot, args, execArgv, env) => {
      const host = stand.hosts[slot % 2 === 0 ? 0 : 1];
      const started = host.start([...execArgv, SOAK_PROCESS, ...args], {
        ...env,
        STP_REGION: path.posix.join(host.directory, REGION),
      });
      const child: SoakChild = {
        onMessage: () => undefined,
        ended: started.ended,
        send: (message) => {
          started.send(JSON.stringify(message));
        },
        kill: () => {
          started.signal('SIGKILL');
        },
      };
      started.onLine = (line) => {
        if (line.startsWith(MESSAGE_PREFIX))
          child.onMessage(JSON.parse(line.slice(MESSAGE_PREFIX.length)) as ToSupervisor);
        else console.log(`${host.name}, process ${slot}: ${line}`);
      };
      return child;
    },
  };
}

/** True where all was well. */
export async function soakStand(stand: Stand, minutes: number, killEveryMs: number): Promise<boolean> {
  const seed = Math.floor(Math.random() * 1_000_000);
  const seconds = minutes * 60;
  console.log(`seed ${seed}, ${seconds} s, a kill every ${killEveryMs} ms, processes on both hosts`);
  const place = twoHosts(stand);
  const soak = new Soak({
    place,
    seconds,
    seed,
    killEveryMs,
    log: (line) => {
      console.log(line);
    },
  });
  return runSoak(soak, place, seconds);
}
