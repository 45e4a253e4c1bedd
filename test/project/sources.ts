/** The files of the project and what they import, for the tests that hold the sources to the project's rules. */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import ts from 'typescript';
import { projectRoot } from '../../scripts/project-root';

export interface Import {
  /** Path of the importing file, relative to the project. */
  readonly from: string;
  /** As written. */
  readonly specifier: string;
  /** Path inside the project without its ending, or undefined for a package or a builtin. */
  readonly target: string | undefined;
  /** Inside a function: loaded when needed only. */
  readonly lazy: boolean;
  /** Erased by the compiler: loads nothing. */
  readonly typeOnly: boolean;
  /** What `import { a, b } from` takes; undefined where all of it can be had. */
  readonly names: readonly string[] | undefined;
  readonly line: number;
}

/** Tracked files, and new ones that git would not ignore; every file outside of build folders where there is no git. */
export function projectFiles(): string[] {
  const root = projectRoot();
  try {
    const listed = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
      cwd: root,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    return listed.split('\0').filter((file) => file !== '' && fs.existsSync(path.join(root, file)));
  } catch {
    return walk(root, '').filter((file) => !/^(node_modules|dist|\.tap|\.git)\//.test(file));
  }
}

function walk(root: string, under: string): string[] {
  return fs.readdirSync(path.join(root, under), { withFileTypes: true }).flatMap((entry) => {
    const file = path.posix.join(under, entry.name);
    if (/^((.*\/)?node_modules|dist|\.tap|\.git)$/.test(file)) return [];
    return entry.isDirectory() ? walk(root, file) : [file];
  });
}

/** The text of a file of the project. */
export function textOf(file: string): string {
  return fs.readFileSync(path.join(projectRoot(), file), 'utf8');
}

export function parse(file: string, text = textOf(file)): ts.SourceFile {
  return ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true);
}

/** Calls `visit` for each node under `node`. */
export function eachNode(node: ts.Node, visit: (node: ts.Node) => void): void {
  visit(node);
  ts.forEachChild(node, (child) => {
    eachNode(child, visit);
  });
}

export function lineOf(node: ts.Node): number {
  const source = node.getSourceFile();
  return source.getLineAndCharacterOfPosition(node.getStart(source)).line + 1;
}

/** Every import of a file: static, re-export, `import()`, `require()`, `import x = require()` and import types. */
export function importsOf(file: string, text = textOf(file)): Import[] {
  const found: Import[] = [];
  eachNode(parse(file, text), (node) => {
    const specifier = specifierOf(node);
    if (specifier === undefined) return;
    found.push({
      from: file,
      specifier,
      target: targetOf(file, specifier),
      lazy: insideFunction(node),
      typeOnly: isTypeOnly(node),
      names: namesOf(node),
      line: lineOf(node),
    });
  });
  return found;
}

function specifierOf(node: ts.Node): string | undefined {
  if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) return literal(node.moduleSpecifier);
  if (ts.isExternalModuleReference(node)) return literal(node.expression);
  if (ts.isImportTypeNode(node))
    return ts.isLiteralTypeNode(node.argument) ? literal(node.argument.literal) : undefined;
  if (!ts.isCallExpression(node)) return undefined;
  const callee = node.expression.getText();
  const loads =
    node.expression.kind === ts.SyntaxKind.ImportKeyword || callee === 'require' || callee === 'require.resolve';
  return loads ? literal(node.arguments[0]) : undefined;
}

function isTypeOnly(node: ts.Node): boolean {
  if (ts.isImportTypeNode(node)) return true;
  if (ts.isExportDeclaration(node)) return node.isTypeOnly;
  if (!ts.isImportDeclaration(node)) return false;
  if (node.importClause?.phaseModifier === ts.SyntaxKind.TypeKeyword) return true;
  const names = node.importClause?.name === undefined ? node.importClause?.namedBindings : undefined;
  return names !== undefined && ts.isNamedImports(names) && names.elements.every(({ isTypeOnly: only }) => only);
}

function namesOf(node: ts.Node): string[] | undefined {
  const clause = ts.isImportDeclaration(node) ? node.importClause : undefined;
  const named = clause?.name === undefined ? clause?.namedBindings : undefined;
  return named !== undefined && ts.isNamedImports(named)
    ? named.elements.map((element) => (element.propertyName ?? element.name).text)
    : undefined;
}

function literal(node: ts.Node | undefined): string | undefined {
  return node !== undefined && ts.isStringLiteralLike(node) ? node.text : undefined;
}

function targetOf(file: string, specifier: string): string | undefined {
  if (!specifier.startsWith('.')) return undefined;
  return path.posix.join(path.posix.dirname(file), specifier).replace(/\.(js|mjs|cjs|ts|mts|json)$/, '');
}

function insideFunction(node: ts.Node): boolean {
  const parent = node.parent as ts.Node | undefined;
  return parent !== undefined && (ts.isFunctionLike(parent) || insideFunction(parent));
}
