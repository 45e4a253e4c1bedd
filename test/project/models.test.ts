/** The models name the functions that they stand for: a model of what is gone proves nothing. */
import path from 'node:path';
import t from 'tap';
import ts from 'typescript';
import { eachNode, parse, projectFiles, textOf } from './sources';

/** In docs/models.md: the second column of a table names code. */
const CODE_COLUMN = 2;

const sources = projectFiles().filter((file) => /^src\/.*\.ts$/.test(file));

/** What src declares: functions and classes, of each class its members; `tops` without the members. */
const members = new Map<string, Set<string>>();
const tops = new Set<string>();
for (const file of sources) {
  ts.forEachChild(parse(file), (node) => {
    if (ts.isVariableStatement(node))
      for (const { name } of node.declarationList.declarations) tops.add(name.getText());
    const { name } = node as Partial<ts.NamedDeclaration>;
    if (name === undefined) return;
    tops.add(name.getText());
    if (ts.isClassDeclaration(node)) members.set(name.getText(), membersOf(node));
  });
}
const anyMember = new Set([...members.values()].flatMap((names) => [...names]));

function membersOf(node: ts.ClassDeclaration): Set<string> {
  const names = new Set<string>();
  eachNode(node, (inner) => {
    if (ts.isClassElement(inner) && inner.name !== undefined) names.add(inner.name.getText());
  });
  return names;
}

/** `Link.#ringIf(SLEEPS)` is a member of a class, `.hasSpace` and `#look` of any, `pump` may be a function too. */
function isThere(code: string): boolean {
  const [first = '', member] = code.replace(/\(.*$/u, '').split('.');
  if (member === undefined) return tops.has(first) || anyMember.has(first);
  return first === '' ? anyMember.has(member) : members.get(first)?.has(member) === true;
}

/** Files that a text names, with or without their folders. */
function missingFiles(text: string): string[] {
  const names = [...text.matchAll(/(?:src\/)?[a-z][\w/-]*\.ts/gu)].map(([name]) => name);
  return names.filter((name) => !sources.some((file) => file === name || path.basename(file) === name));
}

void t.test('docs/models.md names functions and files that are there', (tt) => {
  const tables = textOf('docs/models.md')
    .split(/\n(?=\| in the model \| in the code \|)/u)
    .slice(1)
    .map((part) => part.split('\n\n')[0] ?? '');
  tt.ok(tables.length > 3, `${tables.length} tables`);
  for (const row of tables.flatMap((table) => table.split('\n').slice(CODE_COLUMN))) {
    const code = row.replaceAll('\\|', '/').split('|')[CODE_COLUMN] ?? '';
    for (const [, name = ''] of code.matchAll(/`([^`]+)`/gu)) tt.ok(isThere(name), `${name} in: ${row}`);
    tt.same(missingFiles(code), [], row);
  }
  tt.end();
});

void t.test('each model names files and, after `=`, functions that are there', (tt) => {
  for (const file of projectFiles().filter((name) => name.endsWith('.pml'))) {
    const comments = [...textOf(file).matchAll(/\/\*[^]*?\*\//gu)].map(([comment]) => comment);
    tt.same(missingFiles(comments[0] ?? ''), [], `the head of ${file}`);
    const lists = comments.flatMap((comment) => [
      ...comment.matchAll(/(?<=[/(]\*? ?)= ((?:[\w#.]+(?:, (?!by ))?)+)/gu),
    ]);
    tt.ok(lists.length > 0, `${file} names none`);
    for (const name of lists.flatMap(([, list = '']) => list.split(', ')))
      tt.ok(isThere(name.replace(/[.]$/u, '')), `${name} in ${file}`);
  }
  tt.end();
});
