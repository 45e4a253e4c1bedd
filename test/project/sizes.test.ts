/** A file is one subject, and a function is told few things: what grows past that is taken apart. */
import t from 'tap';
import ts from 'typescript';
import { eachNode, lineOf, parse, projectFiles, textOf } from './sources';

const LINES_MAX = 400;
const PARAMETERS_MAX = 5;
const CODE = /\.m?ts$/;

function linesIn(text: string): number {
  return text.split('\n').length - 1;
}

/** `line name` of each function with a body that takes too many parameters; `this` is none. */
function overlongSignatures(file: string, text = textOf(file)): string[] {
  const found: string[] = [];
  eachNode(parse(file, text), (node) => {
    if (!ts.isFunctionLike(node) || !('body' in node)) return;
    const taken = node.parameters.filter((parameter) => parameter.name.getText() !== 'this');
    if (taken.length > PARAMETERS_MAX) found.push(`${lineOf(node)} ${node.name?.getText() ?? 'function'}`);
  });
  return found;
}

void t.test('no file of code has more than 400 lines', (t) => {
  const files = projectFiles().filter((file) => CODE.test(file));
  t.ok(files.length > 100, 'there are some');
  t.same(
    files.filter((file) => linesIn(textOf(file)) > LINES_MAX),
    [],
  );
  t.end();
});

void t.test('no function takes more than five parameters', (t) => {
  const files = projectFiles().filter((file) => CODE.test(file));
  t.same(
    files.flatMap((file) => overlongSignatures(file).map((where) => `${file}:${where}`)),
    [],
  );
  t.end();
});

void t.test('the rules find what is too much, and leave what is not', (t) => {
  t.equal(linesIn('a\nb\n'), 2);
  t.same(overlongSignatures('a.ts', 'function f(a, b, c, d, e) {}\nconst g = (this: X, a, b, c, d, e) => 0;'), []);
  t.same(overlongSignatures('a.ts', 'function f(a, b, c, d, e, g) {}'), ['1 f']);
  t.same(
    overlongSignatures('a.ts', 'class A {\n  constructor(a, b, c, d, e, g) {}\n  m(a, b, c, d, e, g): void {}\n}'),
    ['2 function', '3 m'],
  );
  t.same(overlongSignatures('a.ts', 'interface I { m(a, b, c, d, e, f): void }'), [], 'a type says what others take');
  t.end();
});
