/** What the tests of `auto` are written with: programs under the hook that print how they were connected. */
import { type Test } from 'tap';
import { node, REGISTER, scratch } from './kit';

/** Helpers that the programs share: a server that tells how it was reached, and a client that tells how it went. */
export const PRELUDE = `
  const net = require('node:net');
  const how = ({ stp }) =>
    stp === undefined ? 'none' : [stp.transport, stp.reason, stp.error?.code].filter(Boolean).join(' ');
  const serve = (...args) => new Promise((resolve, reject) => {
    const server = net.createServer((socket) => {
      socket.on('error', () => {});
      socket.end(socket.stp ? 'by stp' : 'by tcp');
    });
    server.on('error', reject).listen(...args, () => resolve(server));
  });
  const call = (...args) => new Promise((resolve) => {
    const socket = net.connect(...args);
    let text = '';
    socket.on('data', (chunk) => (text += chunk)).on('error', (error) => (text = error.code));
    socket.on('close', () => resolve([text, how(socket)].join(', ')));
  });
`;

/** Runs such a program under the hook: the lines that it prints. */
export async function lines(
  t: Test,
  text: string,
  env: Record<string, string | undefined> = {},
  place = scratch(),
): Promise<string[]> {
  t.teardown(place.remove);
  const program = `${PRELUDE}(async () => {${text}})().catch((error) => {
    console.log('FAILED', error);
    process.exit(1);
  });`;
  const { stdout, stderr, code } = await node(['--require', REGISTER, '-e', program], {
    STP_REGION: place.region,
    ...env,
  });
  if (stderr !== '') t.comment(stderr);
  t.equal(code, 0, 'the program ends well');
  return stdout.trim().split('\n');
}
