/** compat-matrix.md says what was run, and leaves out nothing that net has. */
import fs from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { apiEntries, netSurface } from '../../compat/api-data';
import { matrixDocument } from '../../compat/matrix-document';
import { projectRoot } from '../../scripts/project-root';

const LINE = Number(process.versions.node.split('.')[0]);

void t.test('compat-matrix.md is what `npm run compat:matrix` writes', (t) => {
  t.equal(
    fs.readFileSync(path.join(projectRoot(), 'compat-matrix.md'), 'utf8'),
    matrixDocument(),
    'run `npm run compat:matrix` and commit it',
  );
  t.end();
});

void t.test(`everything that net of Node ${LINE} exports is told of, and nothing that it has not`, (t) => {
  const entries = apiEntries().filter(
    ({ kind, nodes }) => ['export', 'member', 'internal'].includes(kind) && nodes.includes(LINE),
  );
  t.same(entries.map(({ name }) => name).sort(), netSurface());
  t.equal(new Set(apiEntries().map(({ name }) => name)).size, apiEntries().length, 'each once');
  t.end();
});
