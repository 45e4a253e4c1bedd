/**
 * Damage to one file of a region that processes use, in one of many ways, and how it is put right.
 *
 * Each damage hits what one client and the server have between them, or what anybody may write to. The memory of a ring
 * has no name once both ends have mapped it: it is written over all the same, where the system lets us.
 */
import fs from 'node:fs';
import path from 'node:path';
import { type Random } from '../engine/random';
import { mappedRing } from './mapped-memory';
import { damaged } from './mutate';

/** Ways that leave the file as long as it is, and itself. */
const OVERWRITES: ReadonlySet<string> = new Set(['scribble', 'words', 'whole']);
/** Ways after which another file, or none, is in the place of the one that processes have open. */
const REPLACES: ReadonlySet<string> = new Set(['replace', 'remove', 'link', 'directory']);

/** Whose files are damaged: those of a client and of the server that it talks to. */
export interface Place {
  readonly region: string;
  /** The numbers of the two. */
  readonly client: number;
  readonly server: number;
  readonly serverPid: number | undefined;
}

/** What is needed for the next damage: nothing new, a new client, or a new region. */
export type Next = 'same' | 'client' | 'region';

export interface FileDamage {
  readonly title: string;
  /** It was done to the memory of a ring. */
  readonly inMemory: boolean;
  /** What of the scene goes on with a file that has no name any more: nothing can be done to it again. */
  readonly next: Next;
  undo(): void;
}

/** Damages one file in one way. */
export function damageFile({ region, client, server, serverPid }: Place, random: Random): FileDamage {
  const pair = random.pick([`${client}-${server}`, `${server}-${client}`]);
  const name = random.pick([
    `links/${pair}`,
    `links/${pair}`,
    `links/${pair}`,
    `links/${pair}`,
    `processes/${client}`,
    `processes/${server}`,
    'region',
    `processes/${random.between(900, 4_000_000_000)}`,
    `links/${random.between(900, 999)}-${server}`,
  ]);
  const way = random.pick([
    'scribble',
    'scribble',
    'words',
    'words',
    'whole',
    'cut',
    'grow',
    'replace',
    'remove',
    'link',
    'directory',
  ]);
  const ring = OVERWRITES.has(way) && serverPid !== undefined ? mappedRing(serverPid, name) : undefined;
  const inMemory = ring !== undefined;
  const file = ring ?? path.join(region, name);
  const good = fs.existsSync(file) ? fs.readFileSync(file) : undefined;
  // Most of a log is empty: what is cut off counts near its beginning.
  const cutAt = random.chance(0.7) ? random.below(9000) : random.below((good?.length ?? 0) + 1);
  // What outlives the damage is put right after it, so that the next is not only about this one.
  const replaces = good !== undefined && REPLACES.has(way);
  const undo = (): void => {
    if (ring !== undefined || (good !== undefined && name.startsWith('links/') && !replaces)) return;
    fs.rmSync(file, { recursive: true, force: true });
    if (good !== undefined && !name.startsWith('links/')) fs.writeFileSync(file, good, { mode: 0o600 });
  };
  let next: Next = 'same';
  if (replaces && name === `processes/${server}`) next = 'region';
  else if (replaces && name !== 'region') next = 'client';
  const title = `${way} ${name.replace(/\d+/gu, 'N')}`;
  if (good === undefined) {
    fs.writeFileSync(file, random.bytes(random.below(9000)), { mode: 0o600 });
    return { title: `invent ${title}`, inMemory, next, undo };
  }
  switch (way) {
    case 'scribble':
      writeInto(file, damaged(good.subarray(0, 16_384), random).subarray(0, 16_384));
      break;
    case 'words':
      writeInto(file, Buffer.concat([good.subarray(0, 4096), damaged(good.subarray(4096, 4096 + 256), random)]));
      break;
    case 'whole':
      writeInto(file, Buffer.from(random.bytes(Math.min(good.length, 65_536))));
      break;
    case 'cut':
      fs.truncateSync(file, Math.min(cutAt, good.length));
      break;
    case 'grow':
      fs.truncateSync(file, good.length + random.between(1, 1 << 20));
      break;
    case 'replace': {
      const others = fs.readdirSync(path.join(region, 'processes'));
      fs.writeFileSync(`${file}.new`, fs.readFileSync(path.join(region, 'processes', random.pick(others))), {
        mode: 0o600,
      });
      fs.renameSync(`${file}.new`, file);
      break;
    }
    case 'remove':
      fs.rmSync(file);
      break;
    case 'link':
      fs.rmSync(file);
      fs.symlinkSync('/etc/passwd', file);
      break;
    default:
      fs.rmSync(file);
      fs.mkdirSync(file);
  }
  return { title, inMemory, next, undo };
}

function writeInto(file: string, bytes: Uint8Array): void {
  const fd = fs.openSync(file, 'r+');
  const { size } = fs.fstatSync(fd);
  fs.writeSync(fd, bytes, 0, Math.min(bytes.length, size), 0);
  fs.closeSync(fd);
}
