/** Where the project lies: scripts and tests run compiled, from a folder that may be anywhere. */
import fs from 'node:fs';
import path from 'node:path';

/** Absolute path of the folder that holds the sources: that of the nearest package.json, links resolved. */
export function projectRoot(): string {
  for (let directory = __dirname; ; directory = path.dirname(directory)) {
    const manifest = path.join(directory, 'package.json');
    if (fs.existsSync(manifest)) return path.dirname(fs.realpathSync(manifest));
    if (directory === path.dirname(directory)) throw new Error(`no package.json above ${__dirname}`);
  }
}
