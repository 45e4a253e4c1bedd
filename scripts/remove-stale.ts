/**
 * Part of `npm run build`: removes from dist what no source makes any more, so that tests that are gone do not run on.
 * Says what it removed.
 */
import fs from 'node:fs';
import path from 'node:path';
import { projectRoot } from './project-root';

/** How tsc names what it makes of a source. */
const OUTPUT = /^(?<stem>.+?)(?:\.d)?\.(?<kind>[cm]?)[jt]s(?:\.map)?$/u;

/** What is not made by tsc. */
const BUNDLES = `lib${path.sep}`;

/**
 * Files below `dist`, by their path in it, whose source is not below `root`. What tsc does not make is none of them.
 */
export function staleOutputs(root: string, dist: string): string[] {
  const files = fs.readdirSync(dist, { recursive: true, encoding: 'utf8' });
  return files.filter((file) => {
    if (file.startsWith(BUNDLES)) return false;
    const { stem, kind } = OUTPUT.exec(file)?.groups ?? {};
    return stem !== undefined && !fs.existsSync(path.join(root, `${stem}.${kind ?? ''}ts`));
  });
}

function main(): void {
  const root = projectRoot();
  const dist = path.join(root, 'dist');
  for (const file of staleOutputs(root, dist)) {
    fs.rmSync(path.join(dist, file));
    console.log(`removed dist/${file}: its source is gone`);
  }
}

if (require.main === module) main();
