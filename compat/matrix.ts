/** `npm run compat:matrix`: writes compat-matrix.md. `--check` writes nothing and fails where it is stale. */
import fs from 'node:fs';
import path from 'node:path';
import { projectRoot } from '../scripts/project-root';
import { matrixDocument } from './matrix-document';

const FILE = 'compat-matrix.md';

function main(args: readonly string[]): void {
  const unknown = args.filter((argument) => argument !== '--check');
  if (unknown.length > 0) {
    console.error(`compat:matrix: unknown argument ${unknown.join(' ')}; it takes --check or nothing`);
    process.exitCode = 2;
    return;
  }
  const file = path.join(projectRoot(), FILE);
  const text = matrixDocument();
  const stale = !fs.existsSync(file) || fs.readFileSync(file, 'utf8') !== text;
  if (!stale) console.log(`${FILE} is as it should be`);
  else if (args.includes('--check')) {
    console.error(`${FILE} is stale: run \`npm run compat:matrix\` and commit it`);
    process.exitCode = 1;
  } else {
    fs.writeFileSync(file, text);
    console.log(`wrote ${FILE}`);
  }
}

main(process.argv.slice(2));
