/**
 * The clients of one socket of UDP: each key (a client, or a target of one) has a flow of its own, from its first
 * datagram on. Ended flows make room for new ones of the same key at once.
 */
import { StpError } from '../errors';
import { type Target, type TargetRules } from './rules';
import { connectStp, type StpStream } from './stp-stream';
import { systemOf } from './system-names';
import { type Flows } from './udp-flows';
import { OutgoingFlow } from './udp-outgoing-flow';

/** What flows of UDP need of their bridge. */
export interface UdpSettings {
  readonly flows: Flows;
  /** As they are now: they may be read again. */
  readonly rules: () => TargetRules;
  readonly connectTimeoutMs: () => number;
  readonly readyTimeoutMs: () => number;
  readonly events: UdpEvents;
}

export interface UdpEvents {
  closed(flow: { from: string; to: string; sentBytes: number; receivedBytes: number; droppedDatagrams: number }): void;
  failed(flow: { from: string; to: string; error: Error }): void;
}

/** Of a flow that is to be opened. */
export interface FlowEnds {
  readonly from: string;
  readonly to: string;
  readonly target: Target;
  readonly answer: (datagram: Buffer) => void;
}

export class UdpClientSide {
  readonly #settings: UdpSettings;
  readonly #flows = new Map<string, OutgoingFlow>();
  #isOpen = true;

  constructor(settings: UdpSettings) {
    this.#settings = settings;
  }

  /** `ends` is asked where the key has no flow. */
  send(key: string, datagram: Buffer, ends: () => FlowEnds): void {
    if (!this.#isOpen) return;
    let flow = this.#flows.get(key);
    if (flow?.takes !== true) {
      flow = this.#open(key, ends());
      if (flow === undefined) return;
    }
    flow.send(datagram);
  }

  #open(key: string, { from, to, target, answer }: FlowEnds): OutgoingFlow | undefined {
    const { flows, events, readyTimeoutMs } = this.#settings;
    const hasPlace = flows.hasPlace((error) => {
      events.failed({ from, to, error });
    });
    if (!hasPlace) return undefined;
    const flow = new OutgoingFlow({
      dial: (signal) => this.#dial(target, signal),
      readyTimeoutMs: readyTimeoutMs(),
      answer,
      over: (counts, error) => {
        if (error === undefined) events.closed({ from, to, ...counts });
        else events.failed({ from, to, error });
      },
      gone: () => {
        flows.delete(flow);
        // Another may have taken its key.
        if (this.#flows.get(key) === flow) this.#flows.delete(key);
      },
    });
    flows.add(flow);
    this.#flows.set(key, flow);
    return flow;
  }

  async #dial({ host, port }: Target, signal: AbortSignal): Promise<StpStream> {
    const { system, names } = systemOf(host);
    this.#settings.rules().check(port, names);
    // It may have been ended before this ran.
    if (signal.aborted) throw new StpError('ECONNABORTED', undefined, 'UDP');
    return connectStp({ system, port }, this.#settings.connectTimeoutMs(), signal);
  }

  /** Ends the flows, and takes no more. */
  end(): void {
    this.#isOpen = false;
    for (const flow of [...this.#flows.values()]) flow.end();
  }
}
