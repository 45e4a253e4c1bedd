/** The forwards of UDP: -U where clients send datagrams, and -R udp: where the servers are. */
import { StpError } from '../errors';
import { shownStp, shownTcp } from './address';
import { type LocalUdpForward, type RemoteUdpForward } from './forward';
import { StpListener } from './stp-listener';
import { type StpStream } from './stp-stream';
import { UdpClientSide, type UdpSettings } from './udp-client-side';
import { IncomingFlow } from './udp-incoming-flow';
import { bindUdp, hasRoom } from './udp-socket';

export interface OpenUdp<F> {
  /** With the real port. */
  readonly forward: F;
  /** Ends its flows too. */
  close(): void;
}

/** `host:port/udp`, as other tools write it. */
export function shownUdp(host: string, port: number): string {
  return `${shownTcp({ host, port })}/udp`;
}

/** Each client (address and port) has a flow of its own. */
export async function openLocalUdp(forward: LocalUdpForward, settings: UdpSettings): Promise<OpenUdp<LocalUdpForward>> {
  const socket = await bindUdp(forward.listen.host, forward.listen.port);
  const side = new UdpClientSide(settings);
  const target = { host: forward.to.system, port: forward.to.port };
  socket.on('message', (datagram, { address, port }) => {
    side.send(`${address} ${port}`, datagram, () => ({
      from: shownUdp(address, port),
      to: shownStp(forward.to),
      target,
      answer: (bytes) => {
        if (hasRoom(socket)) socket.send(bytes, port, address, () => undefined);
      },
    }));
  });
  return {
    forward: { ...forward, listen: { host: forward.listen.host, port: socket.address().port } },
    close: () => {
      side.end();
      socket.close();
    },
  };
}

/** Each stream that comes from the region is a flow with a socket of its own. */
export function openRemoteUdp(
  forward: RemoteUdpForward,
  settings: UdpSettings,
  lost: () => void,
): OpenUdp<RemoteUdpForward> {
  const { flows, events } = settings;
  const served = new Set<IncomingFlow>();
  let isTold = false;
  const listener = new StpListener(forward.port, {
    accepted: (stream, from) => {
      // Those that have not said yet what they are hold no place, and must not be without number either.
      if (served.size >= 2 * flows.max) {
        stream.on('error', () => undefined).destroy();
        const error = new StpError('EMFILE', 'streams that have not said that they are of UDP', 'UDP');
        if (!isTold) events.failed({ from, to: shownTarget(forward), error });
        isTold = true;
        return;
      }
      const flow = serveFlow(forward, settings, stream, from, () => {
        served.delete(flow);
        isTold = false;
      });
      served.add(flow);
    },
    lost,
  });
  return {
    forward: { ...forward, port: listener.port },
    close: () => {
      listener.close();
      for (const flow of served) flow.end();
    },
  };
}

function shownTarget({ to }: RemoteUdpForward): string {
  return shownUdp(to.host, to.port);
}

function serveFlow(
  forward: RemoteUdpForward,
  { flows, events, rules, readyTimeoutMs }: UdpSettings,
  stream: StpStream,
  from: string,
  gone: () => void,
): IncomingFlow {
  const to = shownTarget(forward);
  const tell = (error: Error): void => {
    events.failed({ from, to, error });
  };
  let isTold = false;
  const flow: IncomingFlow = new IncomingFlow(stream, {
    to: forward.to,
    callTimeoutMs: readyTimeoutMs(),
    admit: () => {
      rules().check(forward.to.port, [forward.to.host]);
      if (!flows.hasPlace(tell)) {
        // The first of them has been told.
        isTold = true;
        throw new StpError('EMFILE');
      }
      flows.add(flow);
    },
    trouble: tell,
    closed: ({ sentBytes, receivedBytes, droppedDatagrams }, failure) => {
      flows.delete(flow);
      gone();
      // Seen from the client, as everywhere.
      if (failure === undefined)
        events.closed({ from, to, sentBytes: receivedBytes, receivedBytes: sentBytes, droppedDatagrams });
      else if (!isTold) tell(failure);
    },
  });
  return flow;
}
