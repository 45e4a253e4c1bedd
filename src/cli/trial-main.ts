/**
 * The processes of `stp doctor`'s trial (trial.ts): the first one listens in the region of STP_REGION and starts the
 * second one, which connects to it. Bytes go both ways at once, and each side checks all that it gets.
 *
 * The first one prints one line of JSON: a {@link TrialReport}.
 */
import { type ChildProcess, fork } from 'node:child_process';
import fs from 'node:fs';
import { codeOf } from '../storage';
import {
  AF_STP,
  PF_STP,
  SOCK_STREAM,
  STPaccept,
  STPbind,
  STPclose,
  STPconnect,
  STPgethostname,
  STPlisten,
  STPrecv,
  STPsend,
  STPsocket,
} from '../index';
import { TRIAL_BYTES, type TrialReport } from './trial';

const TRIPS = 50;
const TRIP_BYTES = 64;
const CHUNK_BYTES = 65_536;

/** Each offset of a stream has its byte, each stream its own. */
function pattern(stream: number, at: number, bytes: number): Buffer {
  const chunk = Buffer.alloc(bytes);
  for (let i = 0; i < bytes; i++) chunk[i] = (Math.imul(at + i, 2_654_435_761) >>> 24) ^ stream;
  return chunk;
}

/** Receives `bytes` from offset `at` of a stream; throws where one of them is not what was sent. */
async function receive(s: number, stream: number, at: number, bytes: number): Promise<void> {
  const chunk = Buffer.alloc(CHUNK_BYTES);
  for (let done = 0; done < bytes;) {
    const length = await STPrecv(s, chunk, Math.min(CHUNK_BYTES, bytes - done));
    if (length === 0) throw new Error(`the stream ended after ${at + done} bytes`);
    if (!chunk.subarray(0, length).equals(pattern(stream, at + done, length)))
      throw new Error(`what came after ${at + done} bytes is not what was sent`);
    done += length;
  }
}

async function send(s: number, stream: number, bytes: number): Promise<void> {
  for (let at = 0; at < bytes; at += CHUNK_BYTES)
    await STPsend(s, pattern(stream, at, Math.min(CHUNK_BYTES, bytes - at)));
}

const SERVER = 1;
const CLIENT = 2;

async function serve(): Promise<TrialReport> {
  const listener = STPsocket(PF_STP, SOCK_STREAM, PF_STP);
  STPbind(listener, { family: AF_STP, port: 0 });
  STPlisten(listener, 1);
  const client = fork(__filename, [String(STPgethostname(listener).port)], { execArgv: [] });
  const told = outcomeOf(client);
  const served = (async () => {
    const s = await STPaccept(listener);
    for (let trip = 0; trip < TRIPS; trip++) {
      await receive(s, CLIENT, 0, TRIP_BYTES);
      await STPsend(s, pattern(SERVER, 0, TRIP_BYTES));
    }
    await Promise.all([send(s, SERVER, TRIAL_BYTES), receive(s, CLIENT, 0, TRIAL_BYTES)]);
    await STPclose(s);
  })();
  // Either may fail first, and the other one waits then.
  const report = await Promise.race([told, served.then(() => told)]);
  if (report.failure === undefined) await served;
  return report;
}

/** What the second process has found, or how it ended. */
function outcomeOf(client: ChildProcess): Promise<TrialReport> {
  return new Promise((resolve) => {
    client.once('message', (report: TrialReport) => {
      resolve(report);
    });
    client.once('error', (error) => {
      resolve(failed(error));
    });
    client.once('exit', (code, signal) => {
      resolve({ failure: { code: undefined, message: `the second process ended with ${String(signal ?? code)}` } });
    });
  });
}

async function call(port: number): Promise<TrialReport> {
  const s = STPsocket(PF_STP, SOCK_STREAM, PF_STP);
  await STPconnect(s, { family: AF_STP, port });
  const trips: number[] = [];
  for (let trip = 0; trip < TRIPS; trip++) {
    const began = performance.now();
    await STPsend(s, pattern(CLIENT, 0, TRIP_BYTES));
    await receive(s, SERVER, 0, TRIP_BYTES);
    trips.push(performance.now() - began);
  }
  const began = performance.now();
  await Promise.all([send(s, CLIENT, TRIAL_BYTES), receive(s, SERVER, 0, TRIAL_BYTES)]);
  const ms = performance.now() - began;
  await STPclose(s);
  return { roundTripP50Ms: trips.sort((a, b) => a - b)[TRIPS / 2] ?? 0, bothWaysMBs: (2 * TRIAL_BYTES) / 1e3 / ms };
}

function failed(error: unknown): TrialReport {
  return { failure: { code: codeOf(error), message: error instanceof Error ? error.message : String(error) } };
}

async function main(): Promise<void> {
  const port = process.argv[2];
  if (port === undefined) {
    const report = await serve().catch(failed);
    fs.writeSync(process.stdout.fd, `${JSON.stringify(report)}\n`);
    process.exit();
  }
  // Without the first process this one has no purpose.
  process.once('disconnect', () => process.exit());
  const report = await call(Number(port)).catch(failed);
  process.send?.(report, () => {
    process.exit();
  });
}

void main();
