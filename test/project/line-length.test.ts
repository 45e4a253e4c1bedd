/** Lines have one width, in code as in prose: what is longer is wrapped, also where prettier leaves it alone. */
import t from 'tap';
import { projectFiles, textOf } from './sources';

const WIDTH = 120;
const CODE = /\.(m?ts|[mc]?js)$|^\.ci\/run$/;
/** Written by programs, from texts that have their own lines. */
const GENERATED: readonly string[] = ['docs/errors.md', 'docs/region-format.md', 'compat-matrix.md'];

interface Line {
  readonly number: number;
  readonly text: string;
}

function linesOf(text: string): Line[] {
  return text.split('\n').map((line, index) => ({ number: index + 1, text: line }));
}

/** Of a document: what is neither in a table nor in a block of code. The targets of links can't be wrapped. */
function proseOf(text: string): Line[] {
  let fenced = false;
  return linesOf(text)
    .filter((line) => {
      const fence = /^ *(```|~~~)/.test(line.text);
      if (fence) fenced = !fenced;
      return !fence && !fenced && !/^( {4}|\t| *\|)/.test(line.text);
    })
    .map(({ number, text: line }) => ({ number, text: line.replace(/\]\([^)]*\)|<?https?:[^\s>]*>?/g, '') }));
}

/** Where lines are too long: `file:line`. */
function tooLong(file: string, text = textOf(file)): string[] {
  const lines = file.endsWith('.md') ? proseOf(text) : linesOf(text);
  return lines.filter((line) => line.text.length > WIDTH).map((line) => `${file}:${line.number}`);
}

void t.test('no line of code, and none of prose, is longer than 120 columns', (t) => {
  const files = projectFiles().filter((file) => (CODE.test(file) || file.endsWith('.md')) && !GENERATED.includes(file));
  t.ok(files.length > 100, 'there are some');
  t.same(
    files.flatMap((file) => tooLong(file)),
    [],
  );
  t.end();
});

void t.test('the rule finds what is too long, and leaves what can not be wrapped', (t) => {
  const full = 'x'.repeat(WIDTH);
  t.same(tooLong('a.ts', `${full}\n${full}x\n`), ['a.ts:2']);
  t.same(tooLong('.ci/run', `\n\n${full}x`), ['.ci/run:3']);
  t.same(tooLong('a.ts', '’'.repeat(WIDTH)), [], 'characters count, not bytes');
  t.same(tooLong('a.md', `${full}x\n| ${full} |\n    ${full}\n`), ['a.md:1']);
  t.same(tooLong('a.md', `\`\`\`js\n${full}x\n\`\`\`\n${full}x\n`), ['a.md:4']);
  t.same(tooLong('a.md', `${full.slice(10)} [x](${full})\n`), []);
  t.end();
});
