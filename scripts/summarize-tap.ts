/**
 * Reads what `tap --reporter=tap` printed: shows one line for each test file and the whole of what failed, and writes
 * the counts `passed failed skipped` into a second file for the script that runs it.
 *
 * A test is a titled one directly inside a file (indented by four); a file that fails outside of all its tests counts
 * as one.
 */
import fs from 'node:fs';

interface Summary {
  passed: number;
  failed: number;
  skipped: number;
  /** Lines to show. */
  readonly lines: string[];
}

const POINT = /^( *)(not )?ok \d+(?: - (.*?))?(?: # (time=\S+|SKIP.*|TODO.*))?\s*(\{)?$/;

/** Sums up the text of a TAP stream. */
export function summarizeTap(text: string): Summary {
  const summary: Summary = { passed: 0, failed: 0, skipped: 0, lines: [] };
  let file: string[] = [];
  let inside = { failed: 0, passed: 0, skipped: 0 };
  for (const line of text.split('\n')) {
    file.push(line);
    const point = POINT.exec(line);
    if (point === null) continue;
    const [, indent = '', not, title = '', directive = ''] = point;
    if (indent.length === 4) {
      if (/^(SKIP|TODO)/.test(directive)) inside.skipped += 1;
      else if (not === undefined) inside.passed += 1;
      else inside.failed += 1;
    }
    if (indent.length > 0) continue;
    if (not !== undefined && inside.failed === 0) inside.failed = 1;
    if (directive.startsWith('SKIP') && inside.skipped === 0) inside.skipped = 1;
    summary.passed += inside.passed;
    summary.failed += inside.failed;
    summary.skipped += inside.skipped;
    summary.lines.push(
      `${not === undefined ? 'ok    ' : 'FAILED'} ${title} (${inside.passed} passed, ${inside.failed} failed, ` +
        `${inside.skipped} skipped)`,
    );
    if (not !== undefined) summary.lines.push(...file);
    file = [];
    inside = { failed: 0, passed: 0, skipped: 0 };
  }
  return summary;
}

function main(): void {
  const [from, to] = process.argv.slice(2);
  if (from === undefined || to === undefined) {
    console.error('usage: summarize-tap TAP-FILE COUNTS-FILE');
    process.exitCode = 2;
    return;
  }
  const summary = summarizeTap(fs.readFileSync(from, 'utf8'));
  console.log(summary.lines.join('\n'));
  fs.writeFileSync(to, `${summary.passed} ${summary.failed} ${summary.skipped}\n`);
}

if (require.main === module) main();
