/**
 * The memory of rings, to which no name in the region leads any more, as the system shows it to who may look into a
 * process.
 */
import fs from 'node:fs';

/**
 * A path to the file of the first mapping whose line matches, as `/proc/PID/map_files` names it: without leading zeros.
 */
function mappedFile(pid: number | 'self', matches: (line: string) => boolean): string | undefined {
  const line = fs.readFileSync(`/proc/${pid}/maps`, 'latin1').split('\n').find(matches);
  const range = line?.split(' ', 1)[0]?.replace(/(^|-)0+(?=.)/gu, '$1');
  return range === undefined ? undefined : `/proc/${pid}/map_files/${range}`;
}

/**
 * A path to the ring that `pid` has mapped of the log `name` (`links/A-B`); undefined where there is none, or we may
 * not look.
 */
export function mappedRing(pid: number, name: string): string | undefined {
  try {
    const file = mappedFile(pid, (line) => line.includes(`/${name}.`));
    if (file === undefined) return undefined;
    fs.closeSync(fs.openSync(file, 'r+'));
    return file;
  } catch {
    return undefined;
  }
}

/** Why nobody here reaches memory that has no name; undefined where it works. */
export function whyNoMappedRing(): string | undefined {
  try {
    fs.closeSync(fs.openSync(mappedFile('self', (line) => line.endsWith(process.execPath)) ?? '', 'r'));
    return undefined;
  } catch {
    return 'the memory of a ring has no name, and /proc/PID/map_files takes more rights than ours';
  }
}

/** Names of the region that lead to memory which `pid` has mapped. */
export function mappedNames(pid: number, region: string): string[] {
  return fs
    .readFileSync(`/proc/${pid}/maps`, 'latin1')
    .split('\n')
    .filter((text) => text.includes(region) && !text.endsWith('(deleted)'));
}
