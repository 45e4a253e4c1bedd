/** Which of Node's own tests are run: groups of files, each chosen by a rule that knows nothing of how they end. */
import fs from 'node:fs';
import path from 'node:path';

export interface NodeGroup {
  /** As on the command line; its data lie in `compat/node/<name>`. */
  readonly name: string;
  readonly folders: readonly string[];
  /** What the names of its files begin with, and what of it a line says to people. */
  readonly prefix: string;
  /** Only files that load a module of sockets: the rest of the group has none. */
  readonly socketsOnly?: boolean;
}

const ORDINARY = ['parallel', 'sequential'] as const;

export const NODE_GROUPS: readonly NodeGroup[] = [
  { name: 'net', folders: ORDINARY, prefix: 'test-net-' },
  { name: 'http', folders: ORDINARY, prefix: 'test-http-' },
  { name: 'https', folders: ORDINARY, prefix: 'test-https-' },
  { name: 'tls', folders: ORDINARY, prefix: 'test-tls-' },
  { name: 'http2', folders: ORDINARY, prefix: 'test-http2-' },
  { name: 'cluster', folders: ORDINARY, prefix: 'test-cluster-' },
  { name: 'child_process', folders: ORDINARY, prefix: 'test-child-process-', socketsOnly: true },
  { name: 'diagnostics_channel', folders: ORDINARY, prefix: 'test-diagnostics-channel-', socketsOnly: true },
  { name: 'async_hooks', folders: ['async-hooks'], prefix: 'test-', socketsOnly: true },
];

const LOADS_SOCKETS = /(?:require\(|from )'(?:node:)?(?:net|http|https|tls|http2|cluster)'/u;

/** The files of a group, as `folder/file`, below the directory of Node's tests. */
export function testFiles(directory: string, group: NodeGroup): string[] {
  return group.folders.flatMap((folder) =>
    fs
      .readdirSync(path.join(directory, folder))
      .filter((file) => file.startsWith(group.prefix) && /\.m?js$/u.test(file))
      .map((file) => `${folder}/${file}`)
      .filter((test) => group.socketsOnly !== true || loadsSockets(path.join(directory, test)))
      .sort(),
  );
}

function loadsSockets(file: string): boolean {
  return LOADS_SOCKETS.test(fs.readFileSync(file, 'utf8'));
}
