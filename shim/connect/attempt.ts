/**
 * `handle.connect(request, ip, port)`: one attempt of a socket to connect to one address, by STP or by TCP.
 *
 * net.js calls it for each address that it tries, on the handle that the socket has. It is decided here which way that
 * address is reached, and the socket gets the handle for it. A failure is told after the ticks and immediates of the
 * turn that asked, as the kernel's can't come sooner.
 */
import {
  type ErrorCode,
  errnoOf,
  ERRORS,
  PF_STP,
  SOCK_STREAM,
  STP_CONNECT_AWAIT_BUSY,
  STP_CONNECT_LINK_TIMEOUT,
  STP_CONNECT_QUEUED,
  type StpAddressInput,
  STPconnect,
  StpError,
  STPsetopt,
  STPsocket,
} from '../../src/index';
import { setImmediate } from '../../src/host';
import { type Configuration } from '../configuration';
import { NO_DESCRIPTOR, StpStream } from '../handle/stream';
import { regionError, statusOf } from '../node/errors';
import { status } from '../node/status';
import { type ConnectRequest, connectByTcp, makeTcpHandle, ownerOf, type TcpHandle } from '../node/handles';
import { carriesTls, type InternalSocket, isObject } from '../node/internals';
import { placeHandle } from '../node/place';
import { note } from '../note';
import { type ReasonCode } from '../reasons';
import { type Target } from './addresses';
import { decide, type Decision } from './decision';
import { boundTo } from './bound';
import { hostOf } from './host';

/**
 * How long two processes that meet for the first time may take, milliseconds: then a client in `auto` goes by TCP,
 * unless the other only has no time.
 */
const FIRST_CONTACT_MS = 100;

type StpDecision = Extract<Decision, { way: 'stp' }>;

interface Attempt {
  readonly socket: InternalSocket;
  readonly request: ConnectRequest;
  readonly ip: string;
  readonly port: number;
  /** Where STP can't make the connection, TCP shall. */
  readonly fallback: boolean;
}

/** In place of a TCP handle's connect. */
export function connectTcpHandle(
  settings: Configuration,
  handle: TcpHandle,
  request: ConnectRequest,
  ip: string,
  port: number,
): number {
  const socket = ownerOf(handle) as InternalSocket | undefined;
  const byNode = (): number => connectByTcp(handle, request, ip, port);
  if (!isObject(socket) || socket._handle === null) return byNode();
  const what = `connect ${hostOf(socket) ?? ip}:${port}`;
  const decision = decide(settings, hostOf(socket) ?? ip, ip, port);
  if (decision.way === 'tcp') {
    note(socket, decision.reason, what, decision.error);
    if (decision.reason === 'NO_LISTENER') refuseWhatIsReset(request);
    return byNode();
  }
  if (carriesTls(handle) && socket.encrypted !== true) {
    // A TLS socket stands on the handle already, which can't be taken from under it.
    note(socket, 'HAS_HANDLE', what);
    return decision.way === 'stp' && decision.fallback ? byNode() : status('ECONNREFUSED');
  }
  const stream = new StpStream();
  const bound = boundTo(handle);
  placeHandle(socket, stream);
  note(socket, decision.reason, what, decision.way === 'refuse' ? decision.error : undefined);
  if (decision.way === 'refuse')
    return fail(stream, request, decision.error === undefined ? status('ECONNREFUSED') : statusOf(decision.error));
  if (bound !== undefined) {
    const errno = open(stream) || stream.bind(bound.ip, bound.port, bound.flags);
    if (errno < 0) return errno;
  }
  return begin(stream, decision, { socket, request, ip, port, fallback: decision.fallback });
}

/** The connect of a handle of ours, which is under a socket before its address is known. */
export function connectStream(
  settings: Configuration,
  stream: StpStream,
  request: ConnectRequest,
  ip: string,
  port: number,
): number {
  const socket = stream.owner as InternalSocket;
  const host = hostOf(socket) ?? ip;
  const decision = decide(settings, host, ip, port);
  const attempt: Attempt = { socket, request, ip, port, fallback: decision.way === 'stp' && decision.fallback };
  if (decision.way === 'tcp') return goByTcp(attempt, decision.reason, decision.error);
  if (decision.reason === 'LISTENER_FOUND' || decision.way === 'refuse')
    note(socket, decision.reason, `connect ${host}:${port}`, decision.way === 'refuse' ? decision.error : undefined);
  if (decision.way === 'refuse')
    return fail(stream, request, decision.error === undefined ? status('ECONNREFUSED') : statusOf(decision.error));
  return begin(stream, decision, attempt);
}

/** Makes the descriptor of a stream that has none: 0, or a negative errno. */
export function open(stream: StpStream): number {
  const error = tryOpen(stream);
  return error === undefined ? 0 : statusOf(error);
}

function tryOpen(stream: StpStream): Error | undefined {
  if (stream.descriptor !== NO_DESCRIPTOR) return undefined;
  try {
    stream.attach(STPsocket(PF_STP, SOCK_STREAM, PF_STP), false);
    return undefined;
  } catch (error) {
    statusOf(error);
    return error as Error;
  }
}

function begin(stream: StpStream, { target, reason }: StpDecision, attempt: Attempt): number {
  const { request, port } = attempt;
  stream.ends = { ...stream.ends, ip: target.ip, mapped: target.ip.toLowerCase().startsWith('::ffff:') };
  // Port 0 is none that a server has.
  if (port === 0) return fail(stream, request, status('ECONNREFUSED'));
  const error = tryOpen(stream);
  if (error !== undefined) {
    if (attempt.fallback) return goByTcp(attempt, 'REGION_UNUSABLE', error);
    note(attempt.socket, reason, `connect ${attempt.ip}:${port}`, regionError(error));
    return statusOf(error);
  }
  stream.request = request;
  STPsetopt(stream.descriptor, STP_CONNECT_QUEUED, true);
  if (attempt.fallback) {
    STPsetopt(stream.descriptor, STP_CONNECT_LINK_TIMEOUT, FIRST_CONTACT_MS);
    STPsetopt(stream.descriptor, STP_CONNECT_AWAIT_BUSY, true);
  }
  stream.onConnected = (failed) => {
    if (failed === 0) complete(stream, 0);
    else failedLater(stream, attempt, reason, errorOf(failed));
  };
  // Rejected where nothing could be begun; what comes after that the stream is told.
  STPconnect(stream.descriptor, address(target, port)).catch((thrown: unknown) => {
    failedLater(stream, attempt, reason, thrown as StpError);
  });
  return 0;
}

/** An STP error by the positive number of its code. */
function errorOf(errno: number): StpError {
  const code = (Object.keys(ERRORS) as ErrorCode[]).find((each) => errnoOf(each) === errno) ?? 'ECONNRESET';
  return new StpError(code, undefined, 'STPconnect');
}

/** STP could not make the connection: TCP does, or the request is told. */
function failedLater(stream: StpStream, attempt: Attempt, reason: ReasonCode, error: StpError): void {
  const { socket, request, ip, port } = attempt;
  const failed = refusal(statusOf(error));
  if (attempt.fallback && stream.request === request && !stream.isClosing()) {
    const errno = goByTcp(attempt, failed === status('ECONNREFUSED') ? 'NO_LISTENER' : 'REGION_UNUSABLE', error);
    if (errno < 0) fail(stream, request, errno);
    return;
  }
  if (regionError(error) !== undefined) note(socket, reason, `connect ${ip}:${port}`, error);
  fail(stream, request, failed);
}

/**
 * The listener ended before the program was told of a connection, and nothing was sent to it: for the kernel no socket
 * listens there. A connect of TCP never fails with ECONNRESET, and programs that connect again look for ECONNREFUSED.
 */
function refusal(failed: number): number {
  return failed === status('ECONNRESET') ? status('ECONNREFUSED') : failed;
}

function address({ system, calledIp }: Target, port: number): StpAddressInput {
  return { system, port, ip: calledIp };
}

/** STP did not come about: a TCP handle takes the place of ours. */
function goByTcp({ socket, request, ip, port }: Attempt, reason: ReasonCode, error: Error | undefined): number {
  const handle = makeTcpHandle();
  placeHandle(socket, handle);
  note(socket, reason, `connect ${ip}:${port}`, error);
  if (reason === 'NO_LISTENER') refuseWhatIsReset(request);
  return connectByTcp(handle, request, ip, port);
}

/**
 * No process listens there by STP. The kernel closes the TCP listener of a process that ends a moment later, so that
 * more clients meet it than over TCP alone, and where it does so while a connect is under way, Linux tells ECONNRESET.
 */
function refuseWhatIsReset(request: ConnectRequest): void {
  const { oncomplete } = request;
  if (oncomplete === undefined) return;
  request.oncomplete = (failed, ...rest) => {
    oncomplete.call(request, refusal(failed), ...rest);
  };
}

/** Tells of a failure, two turns of the event loop from now. */
function fail(stream: StpStream, request: ConnectRequest, errno: number): number {
  stream.request = request;
  setImmediate(() => {
    setImmediate(complete, stream, errno);
  });
  return 0;
}

/** The connection stands, or will not. */
function complete(stream: StpStream, errno: number): void {
  const { request } = stream;
  stream.request = undefined;
  stream.holdSoon();
  // net.js has given the attempt up, or closed the socket.
  if (request?.oncomplete === undefined || stream.isClosing()) return;
  stream.run(tell, stream, request, errno);
}

function tell(stream: StpStream, request: ConnectRequest, errno: number): void {
  const done = errno === 0;
  stream.connected = done;
  request.oncomplete?.(errno, stream, request, done, done);
}
