/**
 * Files that are made under a name of their own and put in place by link(2), in one step: a process that finds the
 * place taken did not make the file.
 *
 * O_EXCL promises the same, but not between hosts: an NFS server tells two creators apart by a verifier that each
 * client makes up, and Linux makes it of its clock ticks and the process id. Two kernels that booted at one moment can
 * come with the same, and both are told that they made the file.
 */
import path from 'node:path';
import { io } from './file-calls';
import { codeOf, fileError, isPassingForNew } from './files';

/**
 * Names of files that are not in place yet begin with this; one left behind by a crash is of no use to any process, and
 * recovery removes it from the top of the region.
 */
export const TEMPORARY_PREFIX = '.new-';

/** Errors of link(2) that mean: not on this file system. */
const NO_LINKS: readonly string[] = ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK'];

/** A path in `directory` that is hardly ever taken; whether it is taken is found out when the file is created. */
export function temporaryName(directory: string): string {
  return path.join(directory, `${TEMPORARY_PREFIX}${process.pid}-${Math.random().toString(36).slice(2)}`);
}

/** Gives `temporary` its real name as well; false where that exists, undefined where the file system has no links. */
export function linkInPlace(temporary: string, place: string): boolean | undefined {
  for (let tries = 1; ; tries++) {
    try {
      io.linkSync(temporary, place);
      return true;
    } catch (error) {
      const code = codeOf(error) ?? '';
      // A network file system may lose the answer of a link that was made, and then say EEXIST: the count knows.
      if (linkCount(temporary) === 2) return true;
      if (code === 'EEXIST') return false;
      if (NO_LINKS.includes(code)) return undefined;
      if (!isPassingForNew(error, tries)) throw fileError(error, 'link', place);
    }
  }
}

function linkCount(place: string): number {
  try {
    return io.lstatSync(place).nlink;
  } catch {
    return 0;
  }
}
