/** Bans that no linter knows: what must not be in a tracked file, and what a reader must find beside it. */
import path from 'node:path';
import fs from 'node:fs';
import t from 'tap';
import ts from 'typescript';
import { projectRoot } from '../../scripts/project-root';
import { eachNode, lineOf, parse, projectFiles, textOf } from './sources';

const files = projectFiles();
const textFiles = files.filter((file) => /\.(m?[jt]s|cjs|json|md|ya?ml|sh)$|(^|\/)(run|LICENSE|\.\w+)$/.test(file));
const code = files.filter((file) => /\.m?ts$/.test(file));

interface Ban {
  readonly title: string;
  readonly pattern: RegExp;
  readonly in: (file: string) => boolean;
}

// Patterns are put together from pieces so that this file does not find itself.
const piece = (...parts: string[]): string => parts.join('');
const BANS: readonly Ban[] = [
  {
    title: 'no absolute path of somebody’s machine',
    pattern: new RegExp(
      piece('(?<![\\w.-])/(wo', 'rk|ro', 'ot|ho', 'me/\\w+|Us', 'ers/\\w+|tmp/br', 'ief|tmp/o', 'ut-)(?![\\w-])'),
    ),
    in: () => true,
  },
  {
    title: 'no host of a package registry',
    pattern: new RegExp(piece('npm', 'js\\.(org|com)|regis', 'try\\.[a-z]+\\.|deb', 'ian\\.org|"resol', 'ved": "http')),
    in: () => true,
  },
  {
    title: 'no open ends',
    pattern: new RegExp(piece('(//|^\\s*\\*|<!--).*\\b(TO', 'DO|FIX', 'ME|XX', 'X|HA', 'CK)\\b')),
    in: () => true,
  },
  {
    title: 'no test that runs alone or not at all',
    pattern: new RegExp(piece('\\bt\\.on', 'ly\\(|\\{ on', 'ly: true')),
    in: (file) => file.startsWith('test/'),
  },
  {
    title: 'nothing printed by the library',
    pattern: new RegExp(piece('\\bcons', 'ole\\.\\w+\\(')),
    in: (file) => /^(src|shim)\//.test(file) && !file.startsWith('src/cli/'),
  },
  {
    title: 'no internals of Node',
    pattern: new RegExp(piece('process\\.bind', 'ing|--expose-inter', 'nals|_linked', 'Binding')),
    in: (file) => /^(src|shim|examples|bench)\/.*s$/.test(file),
  },
  {
    title: 'no checks switched off without a reason',
    pattern: new RegExp(
      piece('@ts-ig', 'nore|@ts-no', 'check|@ts-expect-err', 'or(?! \\S)|eslint-dis', 'able(?!.* -- \\S)'),
    ),
    in: (file) => /\.m?[jt]s$/.test(file),
  },
];

function offences(text: string, pattern: RegExp): number[] {
  return text.split('\n').flatMap((line, index) => (pattern.test(line) ? [index + 1] : []));
}

for (const ban of BANS) {
  void t.test(ban.title, (t) => {
    const found = textFiles
      .filter(ban.in)
      .flatMap((file) => offences(textOf(file), ban.pattern).map((line) => `${file}:${line}`));
    t.same(found, []);
    t.end();
  });
}

void t.test('the bans find what they ban', (t) => {
  const examples = [
    [
      piece("open('/wo", "rk/main/x')"),
      piece('see https://www.npm', 'js.com/x'),
      piece('// TO', 'DO later'),
      piece('t.on', "ly('x')"),
      piece('cons', 'ole.log(1)'),
      piece('process.bind', "ing('tcp')"),
      piece('// eslint-dis', 'able-next-line no-eval'),
    ],
  ].flat();
  BANS.forEach((ban, index) => t.same(offences(`\n${examples[index] ?? ''}`, ban.pattern), [2], ban.title));
  t.same(
    offences(
      piece('a network/wo', 'rk path; ./ro', 'ot/x; // eslint-dis', 'able-next-line no-eval -- why'),
      BANS[0]?.pattern ?? /x/,
    ),
    [],
  );
  t.end();
});

/** Lines with an `any` that has no comment on it or on the line above. */
function bareAny(file: string, text = textOf(file)): string[] {
  const lines = text.split('\n');
  const found: string[] = [];
  eachNode(parse(file, text), (node) => {
    if (node.kind !== ts.SyntaxKind.AnyKeyword) return;
    const line = lineOf(node);
    const excused = [lines[line - 1], lines[line - 2]].some((near) => /\/\/|\/\*|^\s*\*/.test(near ?? ''));
    if (!excused) found.push(`${file}:${line}`);
  });
  return found;
}

void t.test('every `any` has its reason beside it', (t) => {
  t.same(
    code.flatMap((file) => bareAny(file)),
    [],
  );
  t.same(bareAny('x.ts', 'const a: any = 1;'), ['x.ts:1']);
  t.same(bareAny('x.ts', '// what it is depends on the caller\nconst a: any = 1;'), []);
  t.end();
});

void t.test('every source says what it is for', (t) => {
  // In its head; a file of one function may say it there.
  const bare = code.filter((file) => !/^\/\*\*/m.test(textOf(file)) && !file.endsWith('.test.ts'));
  t.same(bare, []);
  t.end();
});

void t.test('names of files are kebab-case', (t) => {
  const odd = code.filter((file) => !/^[a-z0-9]+(-[a-z0-9]+)*(\.test)?\.m?ts$/.test(path.basename(file)));
  t.same(odd, []);
  t.end();
});

void t.test('programs of the examples import nothing of this package', (t) => {
  const apps = files.filter((file) => /^examples\/app\//.test(file));
  t.ok(apps.length > 0, 'there are some');
  t.same(
    apps.filter((file) => /stp-net|stp(Give|Take)|STP_/i.test(textOf(file))),
    [],
  );
  t.end();
});

void t.test('every link of the documents leads somewhere', (t) => {
  const dead: string[] = [];
  for (const file of files.filter((name) => name.endsWith('.md'))) {
    for (const [, link = ''] of textOf(file).matchAll(/\]\(([^)#\s]+)[^)]*\)/g)) {
      if (/^[a-z]+:/.test(link)) continue;
      if (!fs.existsSync(path.join(projectRoot(), path.dirname(file), link))) dead.push(`${file} -> ${link}`);
    }
  }
  t.same(dead, []);
  t.end();
});

void t.test('the README tells how to run the demo and the tests', (t) => {
  const readme = textOf('README.md');
  t.match(readme, 'npm ci && npm run demo');
  t.match(readme, 'npm ci && npm test');
  t.end();
});
