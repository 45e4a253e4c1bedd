/** The counts that CI reports are those of the run. */
import t from 'tap';
import { summarizeTap } from '../../scripts/summarize-tap';

const MIXED = `TAP version 14
# Subtest: dist/test/a.test.js
    # Subtest: works
        ok 1 - inner
        1..1
    ok 1 - works # time=2.457ms
    ok 2 - is not for here # SKIP needs root
    # Subtest: breaks
        not ok 1 - inner
          ---
          diff: text
          ...
        1..1
    not ok 3 - breaks # time=1ms
    1..3
not ok 1 - dist/test/a.test.js # time=14.314ms
# Subtest: dist/test/b.test.js
    ok 1 - works (in {braces}) # time=1ms
    1..1
ok 2 - dist/test/b.test.js # time=1ms
`;

void t.test('tests are counted inside of their files, skipped ones apart', (t) => {
  const summary = summarizeTap(MIXED);
  t.match(summary, { passed: 2, failed: 1, skipped: 1 });
  t.match(summary.lines.join('\n'), 'diff: text', 'what failed is shown whole');
  t.notMatch(summary.lines.join('\n'), 'braces', 'what passed is one line');
  t.end();
});

void t.test('a file that fails outside of its tests is a failed test', (t) => {
  t.match(summarizeTap('not ok 1 - dist/test/c.test.js # time=3ms\n  ---\n  exitCode: 1\n  ...\n'), {
    passed: 0,
    failed: 1,
  });
  t.match(summarizeTap('ok 1 - dist/test/c.test.js # SKIP no tests found\n'), { passed: 0, failed: 0, skipped: 1 });
  t.match(summarizeTap('Killed\n'), { passed: 0, failed: 0, skipped: 0 });
  t.end();
});
