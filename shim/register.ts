/**
 * `stp-net/register`: installs the hook. For --require, --import and NODE_OPTIONS; forked processes and workers inherit
 * it.
 *
 * Loads no call library and opens no region before the first socket that STP could carry, adds no globals and no
 * listeners of signals. A Node that is too old, which a child of the program may be, gets one line of warning and
 * nothing else.
 */
/* eslint-disable @typescript-eslint/no-require-imports -- an old Node must not even read the rest */
import { writeSync } from 'node:fs';
import type * as Hook from './hook';

const OLDEST: readonly [number, number] = [20, 15];
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);

if (major > OLDEST[0] || (major === OLDEST[0] && minor >= OLDEST[1])) (require('./hook') as typeof Hook).install();
else warn();

function warn(): void {
  const STDERR = 2;
  try {
    writeSync(
      STDERR,
      `stp-net: Node ${process.versions.node} is older than ${OLDEST.join('.')}, so this process goes by TCP alone\n`,
    );
  } catch {
    // There may be no standard error.
  }
}
