/**
 * Writes docs/region-format.md and docs/errors.md from the declarations that the code itself runs on, so that neither
 * can drift. `--check` writes nothing and fails, naming the file, where one is stale.
 */
import fs from 'node:fs';
import path from 'node:path';
import { errorsDocument } from './errors-document';
import { regionDocument } from './region-document';
import { projectRoot } from './project-root';

/** Path inside the project -> its text as it should be. */
export function documents(): Map<string, string> {
  return new Map([
    ['docs/region-format.md', regionDocument()],
    ['docs/errors.md', errorsDocument()],
  ]);
}

/** Paths of the documents that are missing or stale. */
export function staleDocuments(): string[] {
  return [...documents()]
    .filter(([file, text]) => readOr(path.join(projectRoot(), file)) !== text)
    .map(([file]) => file);
}

function readOr(file: string): string | undefined {
  return fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : undefined;
}

function main(): void {
  const unknown = process.argv.slice(2).filter((argument) => argument !== '--check');
  if (unknown.length > 0) {
    console.error(`generate-docs: unknown argument ${unknown.join(' ')}; it takes --check or nothing`);
    process.exitCode = 2;
    return;
  }
  const stale = staleDocuments();
  if (process.argv.includes('--check')) {
    for (const file of stale) console.error(`${file} is stale: run \`npm run docs\` and commit it`);
    if (stale.length > 0) process.exitCode = 1;
    return;
  }
  for (const [file, text] of documents()) {
    if (!stale.includes(file)) continue;
    fs.writeFileSync(path.join(projectRoot(), file), text);
    console.log(`wrote ${file}`);
  }
}

if (require.main === module) main();
