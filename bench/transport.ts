/** A transport under test: the same two programs, started so that their bytes travel by it. */
import { type ChildProcess, fork } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { registerPath } from '../src/cli/run';
import { BLOCK_BYTES, BlockHeader, LinkFormat, LinkHeader } from '../src/layout';
import { makeFifo } from '../src/storage';
import { answerOf, stopped } from './children';
import { type BenchAnswer, type BenchRequest } from './client';
import { FLOORS } from './floor';
import { type BenchName, type BenchValues } from './measures';

/** `floor` carries nothing from here to there: it is what Node itself needs for the same work, and takes its turns. */
export const TRANSPORT_NAMES = ['tcp', 'unix', 'stp', 'floor'] as const;
export type TransportName = (typeof TRANSPORT_NAMES)[number];

/** Where a transport runs, and how. */
export interface Place {
  /** Takes the Unix socket, the region or the FIFOs. */
  readonly directory: string;
  readonly driver: string;
}

interface Programs {
  /** The file, and its arguments; undefined where the client does it all. */
  readonly server: readonly [string, ...string[]] | undefined;
  readonly client: string;
}

/** What runs a bench over a transport; undefined where nothing does. */
function programsFor(bench: BenchName, name: TransportName, directory: string): Programs | undefined {
  if (name !== 'floor') {
    const args = name === 'unix' ? [path.join(directory, 'socket')] : [];
    return { server: ['server.js', ...args], client: 'client.js' };
  }
  if (FLOORS[bench] === undefined) return undefined;
  if (bench !== 'round-trip-idle') return { server: undefined, client: 'floor.js' };
  const fifos = ['there', 'back'].map((fifo) => path.join(directory, fifo));
  return fifos.every((fifo) => makeFifo(fifo)) ? { server: ['bell.js', ...fifos], client: 'floor.js' } : undefined;
}

export class Transport {
  private constructor(
    readonly name: TransportName,
    private readonly server: ChildProcess | undefined,
    private readonly client: ChildProcess,
    /** What the server told, for the client alone. */
    private readonly targets: unknown,
    private readonly directory: string,
  ) {}

  /** Starts the programs of a bench; undefined where there are none: few benches have a floor. */
  static async start(
    bench: BenchName,
    name: TransportName,
    { directory, driver }: Place,
  ): Promise<Transport | undefined> {
    const programs = programsFor(bench, name, directory);
    if (programs === undefined) return undefined;
    const region = path.join(directory, 'region');
    const options =
      name === 'stp'
        ? {
            execArgv: ['--require', registerPath()],
            env: { ...process.env, STP_NET: 'stp', STP_REGION: region, STP_DRIVER: driver },
          }
        : { execArgv: [], env: { ...process.env, STP_NET: 'tcp' } };
    const run = (file: string, ...args: string[]): ChildProcess => fork(path.join(__dirname, file), args, options);
    const server = programs.server && run(...programs.server);
    const targets = server && (await answerOf<unknown>(server, `${name} server`));
    const client = run(programs.client);
    if (name === 'stp' && !fs.existsSync(path.join(region, 'region')))
      throw new Error('the hook is loaded and made no region: these would not be figures of STP');
    return new Transport(name, server, client, targets, directory);
  }

  /** One measurement. */
  async measure(name: BenchName, scale: number): Promise<BenchValues> {
    const answer = answerOf<BenchAnswer>(this.client, `${this.name} ${name}`);
    this.client.send({ name, scale, targets: this.targets } satisfies BenchRequest<unknown>);
    const { values, error } = await answer;
    if (values === undefined) throw new Error(`${this.name} ${name}: ${error ?? 'no values'}`);
    return values;
  }

  /** How the region's logs are made, told by their files: what `auto` came to. Undefined for other transports. */
  mechanism(): string | undefined {
    const links = path.join(this.directory, 'region', 'links');
    if (this.name !== 'stp' || !fs.existsSync(links)) return undefined;
    const formats = fs
      .readdirSync(links)
      .map(
        (file) =>
          LinkHeader.decode(fs.readFileSync(path.join(links, file)).subarray(0, BLOCK_BYTES), BlockHeader.sizeBytes)
            .format,
      );
    return [...new Set(formats)].map((format) => (format === LinkFormat.ring ? 'mapped' : 'direct')).join(' and ');
  }

  /** Ends its programs. */
  async stop(): Promise<void> {
    await Promise.all([this.client, this.server].filter((child) => child !== undefined).map(stopped));
  }
}
