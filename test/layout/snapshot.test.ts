/**
 * Holds the layouts to the frozen format: regions outlive processes, so two builds of one version must agree on each
 * byte.
 */
import fs from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { formatSnapshot, type FormatSnapshot } from '../../scripts/layout-snapshot';
import { projectRoot } from '../../scripts/project-root';
import { FORMAT_VERSION } from '../../src/layout';

const ADVICE =
  'The bytes of a region changed. Bump FORMAT_VERSION in src/layout/region-file.ts ' +
  'and run `node dist/scripts/freeze-layout.js`.';

void t.test('the layouts are those that the format version was frozen with', (t) => {
  const file = path.join(projectRoot(), 'test', 'layout', `layout-v${FORMAT_VERSION}.json`);
  if (!fs.existsSync(file)) {
    t.fail(
      `format version ${FORMAT_VERSION} is not frozen: run \`node dist/scripts/freeze-layout.js\` and commit the file`,
    );
    t.end();
    return;
  }
  const frozen = JSON.parse(fs.readFileSync(file, 'utf8')) as FormatSnapshot;
  const now = formatSnapshot();
  t.equal(now.version, frozen.version);
  t.same(Object.keys(now.layouts), Object.keys(frozen.layouts), ADVICE);
  for (const [name, layout] of Object.entries(now.layouts))
    t.strictSame(layout, frozen.layouts[name], `${name}. ${ADVICE}`);
  t.strictSame(JSON.parse(JSON.stringify(now.constants)), frozen.constants, ADVICE);
  t.end();
});
