/** The models name the functions that they stand for: a model of what is gone proves nothing. */
import t from 'tap';
import { parse, projectFiles, textOf, eachNode } from './sources';
import ts from 'typescript';

/** In docs/models.md: the second column of a table names code. */
const CODE_COLUMN = 2;

/** Every name that src declares. */
function declaredNames(): ReadonlySet<string> {
  const names = new Set<string>();
  for (const file of projectFiles().filter((name) => /^src\/.*\.ts$/.test(name))) {
    eachNode(parse(file), (node) => {
      const { name } = node as Partial<ts.NamedDeclaration>;
      if (declares(node) && name !== undefined) names.add(name.getText());
    });
  }
  return names;
}

function declares(node: ts.Node): boolean {
  return (
    ts.isFunctionDeclaration(node) ||
    ts.isClassElement(node) ||
    ts.isClassDeclaration(node) ||
    ts.isInterfaceDeclaration(node) ||
    ts.isVariableDeclaration(node)
  );
}

/** `Link.#ringIf(SLEEPS)` names Link and #ringIf. */
function partsOf(code: string): string[] {
  return code
    .replace(/\(.*$/u, '')
    .split('.')
    .filter((part) => part !== '');
}

const declared = declaredNames();
const files = new Set(projectFiles());

void t.test('docs/models.md names functions and files that are there', (tt) => {
  const tables = textOf('docs/models.md')
    .split(/\n(?=\| in the model \| in the code \|)/u)
    .slice(1)
    .map((part) => part.split('\n\n')[0] ?? '');
  tt.ok(tables.length > 3, `${tables.length} tables`);
  for (const row of tables.flatMap((table) => table.split('\n').slice(CODE_COLUMN))) {
    const code = row.replaceAll('\\|', '/').split('|')[CODE_COLUMN] ?? '';
    for (const [, name = ''] of code.matchAll(/`([^`]+)`/gu))
      for (const part of partsOf(name)) tt.ok(declared.has(part), `${part} in: ${row}`);
    for (const [file] of code.matchAll(/src\/[a-z/-]+\.ts/gu)) tt.ok(files.has(file), `${file} in: ${row}`);
  }
  tt.end();
});

void t.test('each `=` of a model names a function that is there', (tt) => {
  for (const file of projectFiles().filter((name) => name.endsWith('.pml'))) {
    const named = [...textOf(file).matchAll(/\/\* = ((?:[\w#.]+(?:, (?!by )| and )?)+)/gu)];
    tt.ok(named.length > 0, `${file} names none`);
    for (const [, list = ''] of named)
      for (const name of list.split(/, | and /u).filter((one) => /^[#A-Za-z]/u.test(one)))
        for (const part of partsOf(name)) tt.ok(declared.has(part), `${part} in ${file}`);
  }
  tt.end();
});
