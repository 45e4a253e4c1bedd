/** No file needs another that needs it: what a file loads can be read, and tested, without the rest. */
import t from 'tap';
import { importsOf, projectFiles } from './sources';

/** What each file of the program loads at once; types load nothing. */
function loads(): ReadonlyMap<string, readonly string[]> {
  const files = projectFiles().filter((file) => /^(src|shim)\/.*\.ts$/.test(file));
  const known = new Set(files);
  const fileOf = (target: string): string | undefined =>
    [`${target}.ts`, `${target}/index.ts`].find((file) => known.has(file));
  return new Map(
    files.map((file) => [
      file,
      importsOf(file)
        .filter(({ typeOnly, lazy }) => !typeOnly && !lazy)
        .map(({ target }) => (target === undefined ? undefined : fileOf(target)))
        .filter((target) => target !== undefined),
    ]),
  );
}

/** A way from a file back to itself; undefined: none. */
function circleFrom(file: string, graph: ReadonlyMap<string, readonly string[]>): readonly string[] | undefined {
  const ways: (readonly string[])[] = [[file]];
  const seen = new Set<string>();
  for (let way = ways.shift(); way !== undefined; way = ways.shift()) {
    for (const next of graph.get(way.at(-1) ?? '') ?? []) {
      if (next === file) return [...way, file];
      if (seen.has(next)) continue;
      seen.add(next);
      ways.push([...way, next]);
    }
  }
  return undefined;
}

void t.test('files load each other in no circle', (tt) => {
  const graph = loads();
  const edges = [...graph.values()].reduce((sum, targets) => sum + targets.length, 0);
  tt.ok(edges > graph.size, `${graph.size} files load ${edges} others`);
  const circles = [...graph.keys()].map((file) => circleFrom(file, graph)?.join(' -> '));
  tt.same(
    circles.filter((circle) => circle !== undefined),
    [],
  );
  tt.end();
});
