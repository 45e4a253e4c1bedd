/** Shapes that the calls take and return. */

/** An address: a port of a transport group of a system. Text form `stp://system:port/group`. */
export interface StpAddress {
  readonly family: number;
  readonly system: string;
  readonly group: string;
  /** 1 to 65535; 0 asks STPbind to choose one. */
  readonly port: number;
  /** IPv4 or IPv6 address, as Node spells it; not there where none is known. */
  readonly ip?: string;
}

/** What STPbind and STPconnect take: what is left out is this system, the default group, a port to be chosen. */
export interface StpAddressInput {
  readonly family?: number | undefined;
  readonly system?: string | undefined;
  readonly group?: string | undefined;
  readonly port?: number | undefined;
  /**
   * IPv4 or IPv6 address. STPbind: the port is that of this address alone; '0.0.0.0' is all of IPv4, '::' and none all
   * of both. STPconnect: the address that is called; none: any listener of the port. ::ffff:127.0.0.1 is 127.0.0.1, and
   * a zone (fe80::1%eth0) counts for nothing.
   */
  readonly ip?: string | undefined;
}

/** What STPbind takes. */
export interface StpBindInput extends StpAddressInput {
  /** '::', and no address, stand for IPv6 alone. */
  readonly ipv6Only?: boolean | undefined;
}

export interface LookupOptions {
  /**
   * Of the processes of this host count only those in the network namespace of this one: those that TCP would reach.
   */
  readonly sameNetwork?: boolean | undefined;
}

/** What may take a socket: a process (its number in the region), and a task of it; `task` 0 stands for any. */
export interface StpClientId {
  readonly system: string;
  readonly process: number;
  readonly task: number;
}

export interface StpHostEntry {
  /** Name of the system as the region spells it. */
  readonly name: string;
  readonly groups: readonly string[];
  /** True for the system of this process. */
  readonly local: boolean;
  /** Stable unique-local IPv6 address (fd00::/8) that stands for the system where programs want an IP address. */
  readonly ipv6: string;
}

export interface StpLinger {
  readonly onoff: boolean;
  /** Seconds. */
  readonly linger: number;
}

/**
 * Told when a synchronous try (MSG_DONTWAIT) may succeed. All are called outside of any call of the library, in the
 * context of the poller; all are optional. What they throw becomes an uncaught exception of the process.
 */
export interface SocketWatcher {
  /**
   * Something can be received: bytes, the end of the stream or an error. Called when that begins (nothing was there
   * before), not for each record; `availableBytes` is what STPrecv would return at most, 0 for end or error.
   * Fastest where STPrecv is called from inside: the bytes are then copied once, straight from the log.
   */
  readable?(availableBytes: number): void;
  /**
   * How many bytes the watcher takes now, 0 none. Asked when bytes have come and nothing waits before them; where it
   * takes them all, {@link received} is called in place of `readable`.
   */
  wants?(): number;
  /**
   * These bytes are received. They are still in the log, which the peer can write: good during this call only, to be
   * read once, and not to be changed.
   */
  received?(bytes: Uint8Array): void;
  /** STPsend returned -1 or less than its length before; now it can go on, or would fail. */
  writable?(): void;
  /** A connection request is in the queue: STPaccept(s, MSG_DONTWAIT) will not return -1. */
  acceptable?(): void;
  /**
   * STPconnect is complete: errno 0, or why it failed, as STPerror tells. Called instead of the settling of its
   * promise, which then is not to be waited for: it resolves with 0 at the same time, whatever the outcome.
   */
  connected?(errno: number): void;
  /**
   * A connection request was refused, because no socket could be made for it: the STPaccept that took it fails with
   * EMFILE or ENOSPC. Called from inside that call, with the address of the client and the one that it called.
   */
  dropped?(client: StpAddress, called: StpAddress): void;
  /** The connection was reset (also while there are bytes left to read, and while the program does not read). */
  reset?(): void;
  /**
   * The socket that was given has been taken (`true`), or the give ran out or failed and the socket is back (`false`).
   */
  taken?(taken: boolean): void;
}
