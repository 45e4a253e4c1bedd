/** A transport under test: the same two programs, started so that their bytes travel by it. */
import { type ChildProcess, fork } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { registerPath } from '../src/cli/run';
import { BLOCK_BYTES, BlockHeader, LinkFormat, LinkHeader } from '../src/layout';
import { answerOf, stopped } from './children';
import { type BenchAnswer, type BenchRequest } from './client';
import { type BenchValues } from './measures';
import { type BenchTargets } from './server';

export const TRANSPORT_NAMES = ['tcp', 'unix', 'stp'] as const;
export type TransportName = (typeof TRANSPORT_NAMES)[number];

export class Transport {
  private constructor(
    readonly name: TransportName,
    private readonly server: ChildProcess,
    private readonly client: ChildProcess,
    private readonly targets: BenchTargets,
    private readonly directory: string,
  ) {}

  /** Starts both programs; `directory` takes the Unix socket or the region. */
  static async start(name: TransportName, directory: string, driver: string): Promise<Transport> {
    const region = path.join(directory, 'region');
    const options =
      name === 'stp'
        ? {
            execArgv: ['--require', registerPath()],
            env: { ...process.env, STP_NET: 'stp', STP_REGION: region, STP_DRIVER: driver },
          }
        : { execArgv: [], env: { ...process.env, STP_NET: 'tcp' } };
    const server = fork(
      path.join(__dirname, 'server.js'),
      name === 'unix' ? [path.join(directory, 'socket')] : [],
      options,
    );
    const targets = await answerOf<BenchTargets>(server, `${name} server`);
    const client = fork(path.join(__dirname, 'client.js'), [], options);
    if (name === 'stp' && !fs.existsSync(path.join(region, 'region')))
      throw new Error('the hook is loaded and made no region: these would not be figures of STP');
    return new Transport(name, server, client, targets, directory);
  }

  /** One measurement. */
  async measure(name: BenchRequest['name'], scale: number): Promise<BenchValues> {
    const answer = answerOf<BenchAnswer>(this.client, `${this.name} ${name}`);
    this.client.send({ name, scale, targets: this.targets } satisfies BenchRequest);
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

  /** Ends both programs. */
  async stop(): Promise<void> {
    await Promise.all([this.client, this.server].map(stopped));
  }
}
