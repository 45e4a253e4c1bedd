/** Regions as they should not be. */
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { type RegionState } from './application-settings';

const HEADER_BYTES = 4096;
/** Too little for the first process. */
const FULL_KIB = 8;
/** Enough for a server to listen and for one direction of a connection, too little for the other. */
const LOW_KIB = 400;

/**
 * Makes the region below `scratch`, or what is there in its place; its path. Undefined where this machine does not let
 * us.
 */
export function makeRegion(state: RegionState, scratch: string): string | undefined {
  const region = path.join(scratch, 'region');
  if (state === 'missing') {
    // Below a file nobody makes a directory, root neither.
    fs.writeFileSync(region, '');
    return path.join(region, 'below-a-file');
  }
  fs.mkdirSync(region);
  if (state === 'full' || state === 'low')
    return mountSmall(region, state === 'full' ? FULL_KIB : LOW_KIB) ? region : undefined;
  if (state === 'damaged') fs.writeFileSync(path.join(region, 'region'), randomBytes(HEADER_BYTES));
  return region;
}

function mountSmall(directory: string, sizeKib: number): boolean {
  return (
    spawnSync('mount', ['-t', 'tmpfs', '-o', `mode=0700,size=${sizeKib}k`, 'tmpfs', directory], { stdio: 'ignore' })
      .status === 0
  );
}

export function removeRegion(region: string): void {
  // Fails where nothing is mounted, which is most of them.
  if (fs.existsSync(region)) spawnSync('umount', [region], { stdio: 'ignore' });
}

/** Random bytes in place of what the region and its processes say; no file changes its length. */
export function spoil(region: string): void {
  const processes = path.join(region, 'processes');
  for (const file of [
    path.join(region, 'region'),
    ...fs.readdirSync(processes).map((name) => path.join(processes, name)),
  ]) {
    const { size } = fs.statSync(file);
    const handle = fs.openSync(file, 'r+');
    fs.writeSync(handle, randomBytes(size), 0, size, 0);
    fs.closeSync(handle);
  }
}
