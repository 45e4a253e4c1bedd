/** Plays inputs to a bridge that is a process of its own, over real sockets. */
import net from 'node:net';
import { Random } from '../../engine/random';
import { BridgeProcess, HOST, type Test } from '../kit';
import { sizeOfProcess } from '../soak/cast';
import { inputOf } from './inputs';

const AT_ONCE = 32;
/** A client is let go by then; the bridge's own limit is 0.3 s. */
const HANG_MS = 15_000;
/** SOCKS 5: no password, and the request is granted. No target is there, so it was for UDP. */
const ASSOCIATED = Buffer.from([5, 0, 5, 0]);
const GROWN_BYTES_MAX = 96 << 20;

/** Resolves once the bridge has closed the connection; with what is wrong where it does not. */
function play(port: number, protocol: 'socks' | 'http', random: Random): Promise<string | undefined> {
  const input = inputOf(protocol, false, random);
  return new Promise((resolve) => {
    const socket = net.connect({ port, host: HOST, noDelay: true });
    socket.setTimeout(HANG_MS, () => {
      resolve('a client is not let go');
      socket.destroy();
    });
    socket.on('error', () => undefined);
    socket.once('close', () => {
      resolve(undefined);
    });
    let said = Buffer.alloc(0);
    socket.on('data', (chunk: Buffer) => {
      said = Buffer.concat([said, chunk]).subarray(0, ASSOCIATED.length);
      // A relay for UDP, which lasts as long as its client.
      if (protocol === 'socks' && said.equals(ASSOCIATED)) socket.end();
    });
    for (const piece of input.pieces) socket.write(piece);
    if (input.ends) socket.end();
  });
}

/** The findings. Targets are systems that the region does not have. */
export async function fuzzSockets(test: Test, region: string, seed: number, inputs: number): Promise<string[]> {
  const bridge = new BridgeProcess(test, region, ['-D', '0', '-H', '0', '--handshake-timeout', '0.3']);
  const [socks = 0, web = 0] = await bridge.ports(2);
  const { pid = 0 } = bridge.child;
  const before = sizeOfProcess(pid);
  const findings: string[] = [];
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < inputs) {
      const number = next++;
      const random = new Random(seed + number);
      const protocol = random.chance(0.5) ? 'http' : 'socks';
      const why = await play(protocol === 'http' ? web : socks, protocol, random);
      if (why !== undefined) findings.push(`${protocol} over a socket: ${why}; seed ${seed + number}`);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  if (bridge.child.exitCode !== null) return [...findings, `the bridge has ended: ${bridge.stderr}`];
  const after = sizeOfProcess(pid);
  if (after.residentBytes > before.residentBytes + GROWN_BYTES_MAX)
    findings.push(`the bridge grew from ${before.residentBytes} to ${after.residentBytes} bytes`);
  bridge.child.kill('SIGTERM');
  const [code] = await bridge.ended();
  if (code !== 0 || bridge.stderr !== '') findings.push(`the bridge ended with ${String(code)}: ${bridge.stderr}`);
  return findings;
}
