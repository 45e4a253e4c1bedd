/**
 * `npm run test:versions`: the project's own test suite under other versions of Node, whose binaries come from npm. A line for each version;
 * what failed is shown whole. Exit codes: 0 all passed, 1 not so or not run, 2 the command line is wrong.
 */
import { spawn } from 'node:child_process';
import fs from 'node:fs';
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

/** Every layer that touches Node or the system once, in about a minute: what a version of Node is likely to break. */
const SMOKE = [
  'calls/arguments', 'calls/connections', 'calls/processes', 'cli/run', 'e2e/cluster', 'examples/demo', 'region/liveness', 'shim/auto', 'shim/exit',
  'shim/give', 'shim/hook', 'shim/index', 'shim/parity', 'shim/tls', 'shim/trace', 'shim/web', 'storage/conformance', 'storage/processes',
] as const;

const PROGRESS_MS = 20_000;

interface Options {
  readonly versions?: string[];
  readonly smoke?: boolean;
  readonly cache?: string;
  readonly refresh?: boolean;
}

function versionList(text: string): string[] {
  const versions = text.split(',').map((each) => each.trim());
  const odd = versions.find((each) => !/^\d+(\.\d+){0,2}$/u.test(each));
  if (odd !== undefined) throw new InvalidArgumentError(`"${odd}" is no version of Node.`);
  return versions;
}

export function program(): Command {
  return new Command('npm run test:versions --')
    .description('Runs the test suite under other versions of Node, one after the other.')
    .argument('[files...]', 'test files, as shim/parity; nothing: all')
    .option('--versions <list>', `which, by line (22) or whole (20.19.2); else ${LINES.join(',')}`, versionList)
    .option('--smoke', `only ${SMOKE.length} files that touch what differs between versions`)
    .option('--cache <dir>', 'where the binaries are kept (default: stp-net in $XDG_CACHE_HOME or ~/.cache)')
    .option('--refresh', 'fetch the newest of each line, also where one is kept')
    .showSuggestionAfterError()
    .showHelpAfterError('Try: npm run test:versions -- --help')
    .exitOverride()
    .addHelpText('after', '\nExamples:\n  npm run test:versions\n  npm run test:versions -- --versions 22,24 --smoke\n  npm run test:versions -- --versions 26 shim/parity')
    .action(testVersions);
}

async function testVersions(files: string[], options: Options): Promise<void> {
  if (options.smoke === true && files.length > 0) throw new CliFailure('--smoke and names of files: only one of them', ExitCode.usage);
  const chosen = (options.smoke === true ? [...SMOKE] : files).map(compiled);
  const cache = path.resolve(options.cache ?? defaultCache());
  for (const version of options.versions ?? LINES) {
    if (!(await testVersion(nodeBinary(cache, version, options.refresh === true), chosen))) process.exitCode = ExitCode.failed;
  }
}

/** A test as it is run: `shim/parity`, also as the path of its source. */
function compiled(name: string): string {
  const file = `dist/test/${name.replace(/^(dist\/)?test\//u, '').replace(/\.test\.[jt]s$/u, '')}.test.js`;
  if (!fs.existsSync(path.join(projectRoot(), file))) throw new CliFailure(`there is no test ${name}`, ExitCode.usage, 'Tests are named by their path below test, such as shim/parity.');
  return file;
}

/** Runs the tests under one binary; tells how that went, and whether all passed. */
async function testVersion(node: string, files: readonly string[]): Promise<boolean> {
  const version = command(node, ['--version'], projectRoot(), '').trim();
  const beganMs = performance.now();
  const { tap, code } = await runTap(node, version, files);
  const { passed, failed, skipped, lines } = summarizeTap(tap);
  const ok = code === 0 && failed === 0 && passed > 0;
  const seconds = Math.round((performance.now() - beganMs) / 1000);
  if (!ok) process.stdout.write(`${lines.filter((line) => !line.startsWith('ok    ')).join('\n')}\n`);
  process.stdout.write(`Node ${version}: ${ok ? 'ok' : 'FAILED'}, ${passed} passed, ${failed} failed, ${skipped} skipped (${seconds} s${code === 0 ? '' : `, exit code ${code}`})\n`);
  return ok;
}

function runTap(node: string, version: string, files: readonly string[]): Promise<{ tap: string; code: number }> {
  const runner = path.join(projectRoot(), 'node_modules/tap/dist/esm/run.mjs');
  // Programs that tests start by name are of that version too.
  const env = { ...process.env, PATH: `${path.dirname(node)}${path.delimiter}${process.env['PATH'] ?? ''}` };
  return new Promise((resolve, reject) => {
    const child = spawn(node, [runner, '--reporter=tap', ...files], { cwd: projectRoot(), env, stdio: ['ignore', 'pipe', 'inherit'] });
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
