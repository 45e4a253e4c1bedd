/**
 * Why a socket or a server goes by STP, by TCP or by both: stable codes, declared once. Programs see them as
 * `socket.stp.reason` and `server.stp.reason`, people in the comment lines of STP_TRACE=1; docs/translation.md has the
 * table.
 */

interface Reason {
  readonly transport: 'stp' | 'tcp' | 'stp+tcp';
  readonly doc: string;
}

export const REASONS = {
  MODE_STP: { transport: 'stp', doc: 'STP_NET=stp: everything that names a port goes by STP.' },
  RULE_STP: { transport: 'stp', doc: 'A rule of STP_RULES says stp.' },
  LISTENER_FOUND: { transport: 'stp', doc: 'A live STP listener for the address is in the region.' },
  ACCEPTED: { transport: 'stp', doc: 'The socket was accepted by an STP listener.' },
  TAKEN: { transport: 'stp', doc: 'The socket was taken with stpTake.' },
  LISTENING: { transport: 'stp+tcp', doc: 'The server listens on STP and on TCP at the same port.' },
  RULE_TCP: { transport: 'tcp', doc: 'A rule of STP_RULES says tcp.' },
  NO_LISTENER: { transport: 'tcp', doc: 'No live STP listener for the address is in the region.' },
  NOT_OURS: { transport: 'tcp', doc: 'The host is neither this system nor one that the region knows.' },
  REGION_UNUSABLE: {
    transport: 'tcp',
    doc: 'The region can not be used, or STP could not make the connection; `error` says why.',
  },
  PORT_TAKEN: {
    transport: 'tcp',
    doc: 'Another STP socket of this system has the port; the server listens on TCP only.',
  },
  CLUSTER_PRIMARY: {
    transport: 'tcp',
    doc:
      'The server by which the primary of a cluster accepts for its workers what comes by TCP; ' +
      'by STP the workers listen themselves.',
  },
  UNIX_PATH: { transport: 'tcp', doc: 'A Unix socket or a pipe: those stay with Node.' },
  HAS_HANDLE: { transport: 'tcp', doc: "The socket or server stands on a handle or a descriptor of the system's." },
} as const satisfies Record<string, Reason>;

export type ReasonCode = keyof typeof REASONS;

/** What the hook decided about a socket or a server: its `stp` property. */
export interface StpNote {
  readonly transport: 'stp' | 'tcp' | 'stp+tcp';
  readonly reason: ReasonCode;
  /** What went wrong, for REGION_UNUSABLE and PORT_TAKEN. */
  readonly error?: Error;
}
