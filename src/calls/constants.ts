/** Constants of the call library: families, flags, options. Values are STP's own; names follow the socket API. */

export const PF_STP = 47;
/** Address family of {@link StpAddress}; equal to {@link PF_STP} as everywhere. */
export const AF_STP = 47;
export const SOCK_STREAM = 1;

/** STPrecv: leave the data to be read again. */
export const MSG_PEEK = 0x02;
/** Do not wait: the call returns at once, -1 where it would have had to wait. */
export const MSG_DONTWAIT = 0x40;
/** STPsend: more follows in this turn of the event loop, so the peer need not be told yet. */
export const MSG_MORE = 0x8000;

/** Level of the SO_ options. */
export const SOL_SOCKET = 1;
export const SO_REUSEADDR = 2;
export const SO_TYPE = 3;
/** Takes and clears the pending error of the socket (an errno, 0 none). */
export const SO_ERROR = 4;
/** Most bytes accepted by waiting STPsend calls and not yet sent, bytes. */
export const SO_SNDBUF = 7;
/** Receive window: most bytes received and not yet read, bytes; before the connection only. */
export const SO_RCVBUF = 8;
export const SO_KEEPALIVE = 9;
/**
 * Boolean: other processes of this system may bind the port as well, if each of them sets it; clients go to those that
 * listen in turn. Set before STPbind, or later on a bound socket, which then shares the port that it has; it can't be
 * taken back then.
 */
export const SO_REUSEPORT = 15;
/** `{ onoff: boolean, linger: seconds }`; on with 0: STPclose resets; on with n: waits at most n seconds. */
export const SO_LINGER = 13;
export const SO_ACCEPTCONN = 30;
/** Bytes that can be received at once (read only). */
export const SO_NREAD = 0x1020;
/** Bytes accepted and not yet sent (read only). */
export const SO_NWRITE = 0x1024;
/** Taken for the translator's sake: small sends of one turn are joined in any case, and none is held back. */
export const TCP_NODELAY = 0x2001;

// STP parameters (STPgetopt, STPsetopt). With a socket:
/** A {@link SocketWatcher}, or null: told when a synchronous try may succeed. */
export const STP_WATCHER = 1;
/** Boolean: an open socket keeps the process alive (default true). */
export const STP_REF = 2;
/** Write only: bytes (Uint8Array) to put back at the front of the receive queue, as read and not used. */
export const STP_UNREAD = 3;
/** Milliseconds that STPconnect waits, 0 without end (default). */
export const STP_CONNECT_TIMEOUT = 4;
/**
 * Boolean, before STPconnect (default false): the connection is complete as soon as the request stands in the queue of
 * the listener, as with TCP, and not only when the server has accepted. Up to 64 KiB can be sent before that. A request
 * that is not accepted in the end is a connection that is reset. Where the queue is full of requests of this process,
 * STPconnect waits.
 */
export const STP_CONNECT_QUEUED = 9;
/**
 * Milliseconds, before STPconnect, 0 without end (default): on first contact with the process of the listener
 * STPconnect fails with ETIMEDOUT where that has not opened its end of the link by then. No server accepts such a
 * request.
 */
export const STP_CONNECT_LINK_TIMEOUT = 10;
/**
 * Boolean, before STPconnect (default false): STP_CONNECT_LINK_TIMEOUT is no limit for a process that should be able to
 * open its end of the link, and only has no time: one of this host and its pid namespace, of the user with which it
 * joined the region, and which did open it when it was last asked.
 */
export const STP_CONNECT_AWAIT_BUSY = 12;
/**
 * Boolean (default false; an accepted socket has it from its listener): where the process of the peer dies and had read
 * all that was sent to it, STPrecv returns 0, the end of the stream, and STPsend fails with EPIPE; where bytes lay
 * unread, and else, it is ECONNRESET. SO_ERROR and STPerror tell of ECONNRESET in both cases. For processes of one
 * host; another host that is silent is reset in any case.
 */
export const STP_DEATH_AS_TCP = 11;
/** Milliseconds that a give waits for its taker (default 30 000). */
export const STP_GIVE_TIMEOUT = 5;
/** Read only: state of the socket, a name of SocketState. */
export const STP_STATE = 6;
/** Read only: `{ bytesReceived, bytesSent }` since the connection began. */
export const STP_COUNTS = 7;
// Without a socket (s = -1):
/** Longest time that a process spins for the next record before it sleeps, microseconds (0 never). */
export const STP_SPIN = 32;
/** Read only: directory of the region in use. */
export const STP_REGION = 33;
/** Read only: 'mapped' or 'direct'. */
export const STP_DRIVER = 34;
