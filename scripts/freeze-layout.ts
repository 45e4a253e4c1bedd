/**
 * Freezes the region's format: writes test/layout/layout-vN.json for format version N, which the snapshot test holds
 * the layouts to. A version that is frozen stays so; `--unreleased` is for a version that no release has carried yet.
 */
import fs from 'node:fs';
import path from 'node:path';
import { FORMAT_VERSION } from '../src/layout';
import { formatSnapshotText } from './layout-snapshot';
import { projectRoot } from './project-root';

function main(): void {
  const file = path.join('test', 'layout', `layout-v${FORMAT_VERSION}.json`);
  const target = path.join(projectRoot(), file);
  if (fs.existsSync(target) && !process.argv.includes('--unreleased')) {
    console.error(
      `${file} exists: format version ${FORMAT_VERSION} is frozen. ` +
        'Bump FORMAT_VERSION in src/layout/region-file.ts, then run this again.',
    );
    process.exitCode = 1;
    return;
  }
  fs.writeFileSync(target, formatSnapshotText());
  console.log(`wrote ${file}`);
}

main();
