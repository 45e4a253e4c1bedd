/**
 * `npm run test:versions`: the project's own test suite under other versions of Node, whose binaries come from npm. A
 * line for each version; what failed is shown whole. Exit codes: 0 all passed, 1 not so or not run, 2 the command line
 * is wrong.
 */
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { projectRoot } from '../scripts/project-root';
import { summarizeTap } from '../scripts/summarize-tap';
import { CliFailure, ExitCode } from '../src/cli/failure';
import { command, defaultCache, say } from './cache';
import { endWith } from './end-with';
import { nodeBinary } from './node-binary';

/** The lines of Node that the project supports. */
const LINES = ['20', '22', '24', '26'] as const;

/**
 * What a version of Node is likely to break, in about a minute: the shim, which stands on Node's internals, whole; of
 * what stands on its public parts koffi and files, and clusters. What is arithmetic, or goes over the same parts again,
 * is left to the whole suite.
 */
const SMOKE = [
  'e2e/cluster',
  'shim/auto',
  'shim/exit',
  'shim/give',
  'shim/hook',
  'shim/index',
  'shim/parity',
  'shim/send',
  'shim/tls',
  'shim/trace',
  'shim/web',
  'storage/conformance',
] as const;
/** Most of these tests wait more than they work. */
const SMOKE_JOBS = 4;

const PROGRESS_MS = 20_000;

interface Options {
  readonly versions?: string[];
  readonly smoke?: boolean;
  readonly jobs?: number;
  readonly cache?: string;
  readonly refresh?: boolean;
}

function versionList(text: string): string[] {
  const versions = text.split(',').map((each) => each.trim());
  const odd = versions.find((each) => !/^\d+(\.\d+){0,2}$/u.test(each));
  if (odd !== undefined) throw new InvalidArgumentError(`"${odd}" is no version of Node.`);
  return versions;
}

function jobCount(text: string): number {
  const value = Number(text);
  if (!/^\d+$/u.test(text) || value < 1 || value > 64)
    throw new InvalidArgumentError('It must be a whole number from 1 to 64.');
  return value;
}

export function program(): Command {
  return new Command('npm run test:versions --')
    .description('Runs the test suite under other versions of Node, one after the other.')
    .argument('[files...]', 'test files, as shim/parity; nothing: all')
    .option('--versions <list>', `which, by line (22) or whole (20.19.2); else ${LINES.join(',')}`, versionList)
    .option('--smoke', `only ${SMOKE.length} files that touch what differs between versions`)
    .option('--jobs <n>', `test files at a time (default: as in npm test; --smoke: ${SMOKE_JOBS})`, jobCount)
    .option('--cache <dir>', 'where the binaries are kept (default: stp-net in $XDG_CACHE_HOME or ~/.cache)')
    .option('--refresh', 'fetch the newest of each line, also where one is kept')
    .showSuggestionAfterError()
    .showHelpAfterError('Try: npm run test:versions -- --help')
    .exitOverride()
    .addHelpText(
      'after',
      '\nExamples:\n  npm run test:versions\n  npm run test:versions -- --versions 22,24 --smoke\n' +
        '  npm run test:versions -- --versions 26 shim/parity',
    )
    .action(testVersions);
}

async function testVersions(files: string[], options: Options): Promise<void> {
  if (options.smoke === true && files.length > 0)
    throw new CliFailure('--smoke and names of files: only one of them', ExitCode.usage);
  const chosen = (options.smoke === true ? [...SMOKE] : files).map(compiled);
  const cache = path.resolve(options.cache ?? defaultCache());
  for (const version of options.versions ?? LINES) {
    const binary = nodeBinary(cache, version, options.refresh === true);
    if (!(await withPublicNode(binary, (node) => testVersion(node, chosen, options))))
      process.exitCode = ExitCode.failed;
  }
}

/** Tests that run as root start programs as other users too, who may not be able to reach the cache. */
async function withPublicNode<T>(binary: string, run: (node: string) => Promise<T>): Promise<T> {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'stp-node-'));
  try {
    fs.chmodSync(directory, 0o755);
    const node = path.join(directory, 'node');
    linkOrCopy(binary, node);
    return await run(node);
  } finally {
    fs.rmSync(directory, { recursive: true, force: true });
  }
}

function linkOrCopy(from: string, to: string): void {
  try {
    fs.linkSync(from, to);
  } catch {
    // On another file system.
    fs.copyFileSync(from, to);
  }
}

/** A test as it is run: `shim/parity`, also as the path of its source. */
function compiled(name: string): string {
  const file = `dist/test/${name.replace(/^(dist\/)?test\//u, '').replace(/\.test\.[jt]s$/u, '')}.test.js`;
  if (!fs.existsSync(path.join(projectRoot(), file)))
    throw new CliFailure(
      `there is no test ${name}`,
      ExitCode.usage,
      'Tests are named by their path below test, such as shim/parity.',
    );
  return file;
}

/** Runs the tests under one binary; tells how that went, and whether all passed. */
async function testVersion(node: string, files: readonly string[], { smoke, jobs }: Options): Promise<boolean> {
  const version = command(node, ['--version'], projectRoot(), '').trim();
  const beganMs = performance.now();
  const { tap, code } = await runTap(node, version, [
    ...jobsArguments(jobs ?? (smoke === true ? SMOKE_JOBS : undefined)),
    ...files,
  ]);
  const { passed, failed, skipped, lines } = summarizeTap(tap);
  const ok = code === 0 && failed === 0 && passed > 0;
  const seconds = Math.round((performance.now() - beganMs) / 1000);
  if (!ok) process.stdout.write(`${lines.filter((line) => !line.startsWith('ok    ')).join('\n')}\n`);
  process.stdout.write(
    `Node ${version}: ${ok ? 'ok' : 'FAILED'}, ${passed} passed, ${failed} failed, ` +
      `${skipped} skipped (${seconds} s${code === 0 ? '' : `, exit code ${code}`})\n`,
  );
  return ok;
}

/** Undefined: as in .taprc. */
function jobsArguments(jobs: number | undefined): string[] {
  return jobs === undefined ? [] : [`--jobs=${jobs}`];
}

function runTap(node: string, version: string, args: readonly string[]): Promise<{ tap: string; code: number }> {
  const runner = path.join(projectRoot(), 'node_modules/tap/dist/esm/run.mjs');
  // Programs that tests start by name are of that version too.
  const env = { ...process.env, PATH: `${path.dirname(node)}${path.delimiter}${process.env['PATH'] ?? ''}` };
  return new Promise((resolve, reject) => {
    const child = spawn(node, [runner, '--reporter=tap', ...args], {
      cwd: projectRoot(),
      env,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let tap = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      tap += text;
    });
    const progress = setInterval(() => {
      say(`  Node ${version}: ${(tap.match(/^(not )?ok \d/gmu) ?? []).length} test files done`);
    }, PROGRESS_MS);
    child.once('error', reject);
    child.once('close', (code) => {
      clearInterval(progress);
      resolve({ tap, code: code ?? 1 });
    });
  });
}

if (require.main === module) void endWith('test:versions', () => program().parseAsync(process.argv));
