/** The generated documents are those that the code would generate now. */
import t from 'tap';
import { staleDocuments } from '../../scripts/generate-docs';

void t.test('docs/region-format.md and docs/errors.md are up to date', (t) => {
  t.same(staleDocuments(), [], 'run `npm run docs` and commit the result');
  t.end();
});
