/**
 * The mounts of this process, from /proc/self/mountinfo: which one holds a directory, and what type of file system it
 * is.
 *
 * statfs(2) does not tell: 9p (shared folders of QEMU and Kata, drives of WSL, files of gVisor) passes on the number of
 * the server's file system.
 */
import fs from 'node:fs';

export interface Mount {
  readonly id: number;
  /** The mount that this one lies on. */
  readonly parentId: number;
  /** The directory that it is mounted over, absolute. */
  readonly point: string;
  /** As in mount(8): `ext4`, `nfs4`, `9p`, `fuse.sshfs` ... */
  readonly type: string;
  /** Of the file system, as the kernel shows them. */
  readonly options: string;
}

const MOUNTINFO = '/proc/self/mountinfo';
/** Fields of proc(5) before the optional ones, and those after the lone `-` that ends them. */
const FIELD = { id: 0, parentId: 1, device: 2, point: 4, optional: 6 } as const;
const AFTER = { type: 1, options: 3 } as const;

/** The list as the kernel gives it; empty where this system has none, or hides it. */
export function readMountList(): string {
  try {
    return fs.readFileSync(MOUNTINFO, 'utf8');
  } catch {
    return '';
  }
}

/**
 * The type of the file system with a device number, by the first mount of it in a list as the kernel gives it. Costs a
 * fraction of taking the whole list apart. Undefined where none has that number, as with files of some types.
 */
export function typeOfDevice(list: string, device: string): string | undefined {
  const sign = ` ${device} `;
  for (let at = list.indexOf(sign); at >= 0; at = list.indexOf(sign, at + 1)) {
    const fields = list.slice(list.lastIndexOf('\n', at) + 1, list.indexOf('\n', at)).split(' ');
    // In another place it is a part of a path.
    if (fields[FIELD.device] === device) return fields[fields.indexOf('-', FIELD.optional) + AFTER.type];
  }
  return undefined;
}

/** The mounts of a text as /proc/self/mountinfo holds it. Lines that are none are left out. */
export function parseMounts(text: string): Mount[] {
  return text.split('\n').flatMap((line) => {
    const mount = parseMount(line.split(' '));
    return mount === undefined ? [] : [mount];
  });
}

function parseMount(fields: readonly string[]): Mount | undefined {
  const end = fields.indexOf('-', FIELD.optional);
  const [id, parentId] = [Number(fields[FIELD.id]), Number(fields[FIELD.parentId])];
  const [point, type] = [fields[FIELD.point], fields[end + AFTER.type]];
  if (end < 0 || !Number.isInteger(id) || !Number.isInteger(parentId) || point?.startsWith('/') !== true)
    return undefined;
  if (type === undefined || type === '') return undefined;
  return { id, parentId, point: decodeOctal(point), type, options: fields[end + AFTER.options] ?? '' };
}

/** Spaces and the like are shown as a backslash and three octal digits, each for one byte. */
export function decodeOctal(text: string): string {
  if (!text.includes('\\')) return text;
  const bytes = Buffer.from(text).toString('latin1');
  const decoded = bytes.replace(/\\([0-3][0-7]{2})/gu, (_all, digits: string) =>
    String.fromCharCode(parseInt(digits, 8)),
  );
  return Buffer.from(decoded, 'latin1').toString();
}

/**
 * The mount that holds `directory`, which is absolute and has no links in it. Undefined where it is not in the list:
 * below chroot(2) the list lacks the mount that the root lies on.
 *
 * It goes the way that the kernel goes, from mount to mount: the longest mount point alone may be one that another
 * mount hides.
 */
export function mountOf(mounts: readonly Mount[], directory: string): Mount | undefined {
  const ids = new Set(mounts.map(({ id }) => id));
  const holding = mounts.filter(({ point }) => isWithin(directory, point));
  let found: Mount | undefined;
  let next = nearest(holding.filter(({ id, parentId }) => parentId === id || !ids.has(parentId)));
  const passed = new Set<number>();
  while (next !== undefined && !passed.has(next.id)) {
    found = next;
    passed.add(found.id);
    next = nearest(holding.filter(({ id, parentId }) => parentId === found?.id && id !== parentId));
  }
  return found;
}

/** Of mounts on the same mount: the one that a path comes to first, the last one where several have the same place. */
function nearest(mounts: readonly Mount[]): Mount | undefined {
  let found: Mount | undefined;
  for (const mount of mounts) if (found === undefined || mount.point.length <= found.point.length) found = mount;
  return found;
}

function isWithin(directory: string, point: string): boolean {
  return point === '/' || directory === point || directory.startsWith(`${point}/`);
}
