/**
 * Records: what a log carries. A header of 16 bytes, a payload, padding to 8 bytes. Each is for one socket of the
 * reading process, named by index and generation.
 */
import { defineLayout } from './define-layout';
import { IP_BYTES } from './ip-address';

export const RecordHeader = defineLayout(
  'RecordHeader',
  16,
  {
    lengthBytes: { at: 0, kind: 'u24', writer: 'sender', doc: 'bytes of payload, padding not counted' },
    type: { at: 3, kind: 'u8', writer: 'sender', doc: 'see RecordType' },
    source: {
      at: 4,
      kind: 'u32',
      writer: 'sender',
      doc: 'index of the socket it comes from: where GONE is sent when the socket it is for is no more',
    },
    socket: {
      at: 8,
      kind: 'u32',
      writer: 'sender',
      doc: 'index of the socket it is for; a port in CONNECT, ASK and CANCEL',
    },
    generation: {
      at: 12,
      kind: 'u32',
      writer: 'sender',
      doc: 'generation of that socket; 0 in CONNECT, ASK and CANCEL',
    },
  },
  { doc: 'Head of every record.' },
);

/** What the header of a record names. A connected socket of the engine is such a thing itself. */
export interface RecordEnds {
  /** `source`: our socket. */
  readonly index: number;
  /** `socket`: the one that the record is for. */
  readonly remoteSocket: number;
  /** `generation`, of that one. */
  readonly remoteGeneration: number;
}

export const RECORD_HEADER_BYTES = RecordHeader.sizeBytes;
/** The first word of a header holds the length in these bits, and the type above them. */
export const RECORD_LENGTH_MASK = 0xff_ffff;
export const RECORD_TYPE_SHIFT = 24;
/** Longest payload of one record, bytes. */
export const RECORD_PAYLOAD_MAX_BYTES = 65_536;

export const RecordType = {
  /** No record: zeros are never one. */
  pad: 0,
  /** A client asks for a connection. */
  connect: 1,
  /** The client gave up before it was accepted. */
  cancel: 2,
  /** The server accepted. */
  accept: 3,
  /** No socket listens, or the backlog is full. */
  refuse: 4,
  data: 5,
  /** More may be sent. */
  credit: 6,
  /** No more data from the sender. */
  fin: 7,
  /** All data and the FIN have arrived. */
  finAck: 8,
  reset: 9,
  /** Hand-over, giver to peer: hold your data back. */
  freeze: 10,
  /** Hand-over, peer to giver: held back; nothing of mine is under way. */
  frozen: 11,
  /** Hand-over, giver to peer: it came to nothing, go on with me. */
  thaw: 12,
  /** Hand-over, taker to giver: I have the token. */
  take: 13,
  /** Hand-over, giver to taker: no. */
  takeRefuse: 14,
  /** Hand-over, giver to taker: the state of the socket. */
  handState: 15,
  /** Hand-over, giver to taker: received and unread bytes. */
  handReceived: 16,
  /** Hand-over, giver to taker: accepted and unsent bytes. */
  handUnsent: 17,
  /** Hand-over, taker to giver: I have it all. */
  handReady: 18,
  /** Hand-over, giver to peer: from now on your peer is the taker. The point of no return. */
  move: 19,
  /** Hand-over, peer to taker: here I am. */
  attach: 20,
  /** Hand-over, taker to peer, when the giver died: was I given the socket? */
  claim: 21,
  /** The socket that a record was for is no more. */
  gone: 22,
  /** A client asks one of several that share a port whether it may connect. */
  ask: 23,
  /** The answer to ASK: connect now. */
  offer: 24,
  /** The answer to ASK: no socket listens, or so many ask already. */
  decline: 25,
} as const;
/** Highest type in use. */
export const RECORD_TYPE_MAX = 25;
/** Most sockets that one process may hold. */
export const SOCKETS_MAX = 1_048_576;
/**
 * In `socket` of DATA, FIN and RESET: the record is for the request of `source`, whose generation is in `generation`.
 * So a client writes to before it knows which socket the server has given to its request.
 */
export const REQUEST_SOCKET = 0xffff_ffff;
/** Most bytes that a client may send before it is accepted. */
export const EARLY_BYTES_MAX = 65_536;

const sender = 'sender' as const;

export const ConnectPayload = defineLayout(
  'ConnectPayload',
  160,
  {
    socket: { at: 0, kind: 'u32', writer: sender, doc: 'index of the client socket' },
    generation: { at: 4, kind: 'u32', writer: sender, doc: 'its generation' },
    port: { at: 8, kind: 'u32', writer: sender, doc: 'its port' },
    windowBytes: { at: 12, kind: 'u32', writer: sender, doc: 'bytes that may be sent to it before the first CREDIT' },
    clientGroup: { at: 16, kind: 'text', size: 16, writer: sender, doc: 'group of the client' },
    serverGroup: { at: 32, kind: 'text', size: 16, writer: sender, doc: 'group of the port asked for' },
    system: { at: 48, kind: 'text', size: 64, writer: sender, doc: 'system of the client' },
    clientFamily: { at: 112, kind: 'u8', writer: sender, doc: 'of clientIp: 0 none, 4 IPv4, 6 IPv6' },
    calledFamily: { at: 113, kind: 'u8', writer: sender, doc: 'of calledIp, as clientFamily' },
    clientIp: {
      at: 116,
      kind: 'bytes',
      size: IP_BYTES,
      writer: sender,
      doc: 'IP address of the client, IPv4 in the first 4 bytes',
    },
    calledIp: {
      at: 132,
      kind: 'bytes',
      size: IP_BYTES,
      writer: sender,
      doc: 'IP address that the client called, as clientIp; none: any listener of the port will do',
    },
    earlyBytes: {
      at: 148,
      kind: 'u32',
      writer: sender,
      doc: 'its program goes on before it is accepted, and so many bytes may come before that; 0: it waits',
    },
    attempt: {
      at: 152,
      kind: 'u32',
      writer: sender,
      doc: 'number of the ASK, counted by its socket; in CONNECT as in the OFFER',
    },
  },
  { doc: 'Payload of CONNECT and ASK.' },
);

export const SocketName = defineLayout(
  'SocketName',
  16,
  {
    socket: { at: 0, kind: 'u32', writer: sender, doc: 'index of the sending socket' },
    generation: { at: 4, kind: 'u32', writer: sender, doc: 'its generation' },
    windowBytes: {
      at: 8,
      kind: 'u32',
      writer: sender,
      doc: 'bytes that may be sent to it before the first CREDIT; 0 in CANCEL',
    },
  },
  { doc: 'Payload of ACCEPT and CANCEL.' },
);

export const OfferPayload = defineLayout(
  'OfferPayload',
  8,
  {
    attempt: { at: 0, kind: 'u32', writer: sender, doc: 'that of the ASK which it answers' },
  },
  { doc: 'Payload of OFFER.' },
);

export const Reason = defineLayout(
  'Reason',
  8,
  {
    errno: { at: 0, kind: 'u32', writer: sender, doc: 'why, as errno' },
    attempt: {
      at: 4,
      kind: 'u32',
      writer: sender,
      doc: 'in REFUSE and DECLINE that of the CONNECT or ASK which it answers; else 0',
    },
  },
  { doc: 'Payload of REFUSE, DECLINE, RESET and TAKE REFUSE.' },
);

export const Total = defineLayout(
  'Total',
  8,
  {
    bytes: {
      at: 0,
      kind: 'u64',
      writer: sender,
      doc: 'CREDIT: bytes that may be sent since the beginning; FIN: bytes sent since the beginning',
    },
  },
  { doc: 'Payload of CREDIT and FIN: counts since the connection began, so that one lost or doubled shows.' },
);

export const FreezePayload = defineLayout(
  'FreezePayload',
  16,
  {
    round: {
      at: 0,
      kind: 'u32',
      writer: sender,
      doc: 'number of the hand-over of this socket; an answer of an older one is dropped',
    },
    bytesSent: { at: 8, kind: 'u64', writer: sender, doc: 'FROZEN: bytes the peer sent since the beginning; else 0' },
  },
  { doc: 'Payload of FREEZE, FROZEN, THAW and HAND READY.' },
);

export const GonePayload = defineLayout(
  'GonePayload',
  16,
  {
    socket: { at: 0, kind: 'u32', writer: sender, doc: 'index of the socket that is no more' },
    generation: { at: 4, kind: 'u32', writer: sender, doc: 'its generation' },
    type: { at: 8, kind: 'u32', writer: sender, doc: 'type of the record that was for it' },
  },
  { doc: 'Payload of GONE.' },
);

export const TakePayload = defineLayout(
  'TakePayload',
  48,
  {
    socket: { at: 0, kind: 'u32', writer: sender, doc: 'index of the taking socket' },
    generation: { at: 4, kind: 'u32', writer: sender, doc: 'its generation' },
    windowBytes: { at: 8, kind: 'u32', writer: sender, doc: 'its receive window' },
    secret: { at: 16, kind: 'bytes', size: 32, writer: sender, doc: 'the one-time secret of the token' },
  },
  { doc: 'Payload of TAKE.' },
);

export const HandState = defineLayout(
  'HandState',
  288,
  {
    peerProcess: { at: 0, kind: 'u32', writer: sender, doc: 'process of the other end' },
    peerSocket: { at: 4, kind: 'u32', writer: sender, doc: 'socket of the other end' },
    peerGeneration: { at: 8, kind: 'u32', writer: sender, doc: 'its generation' },
    flags: {
      at: 12,
      kind: 'u32',
      writer: sender,
      doc:
        'bit 0 FIN sent, 1 FIN acknowledged, 2 FIN received, 3 connected (not accepted), 4 shut for receiving, ' +
        '5 FIN wanted after the unsent bytes, 6 the other end is closed and gone, ' +
        '7 the end of its stream stands for its death',
    },
    bytesSent: { at: 16, kind: 'u64', writer: sender, doc: 'bytes sent since the beginning' },
    sendLimitBytes: { at: 24, kind: 'u64', writer: sender, doc: 'bytes that may be sent since the beginning' },
    bytesReceived: { at: 32, kind: 'u64', writer: sender, doc: 'bytes received since the beginning' },
    receiveLimitBytes: { at: 40, kind: 'u64', writer: sender, doc: 'bytes the other end may send since the beginning' },
    receivedQueuedBytes: { at: 48, kind: 'u32', writer: sender, doc: 'bytes of HAND RECEIVED that follow' },
    unsentBytes: { at: 52, kind: 'u32', writer: sender, doc: 'bytes of HAND UNSENT that follow' },
    peerEpoch: { at: 56, kind: 'u64', writer: sender, doc: 'epoch of the process of the other end' },
    localPort: { at: 64, kind: 'u32', writer: sender, doc: 'own port of the connection' },
    remotePort: { at: 68, kind: 'u32', writer: sender, doc: 'port of the other end' },
    localGroup: { at: 72, kind: 'text', size: 16, writer: sender, doc: 'own group' },
    remoteGroup: { at: 88, kind: 'text', size: 16, writer: sender, doc: 'group of the other end' },
    localSystem: { at: 104, kind: 'text', size: 64, writer: sender, doc: 'own system' },
    remoteSystem: { at: 168, kind: 'text', size: 64, writer: sender, doc: 'system of the other end' },
    localFamily: { at: 232, kind: 'u8', writer: sender, doc: 'of localIp: 0 none, 4 IPv4, 6 IPv6' },
    remoteFamily: { at: 233, kind: 'u8', writer: sender, doc: 'of remoteIp, as localFamily' },
    localIp: {
      at: 236,
      kind: 'bytes',
      size: IP_BYTES,
      writer: sender,
      doc: 'own IP address, IPv4 in the first 4 bytes',
    },
    remoteIp: {
      at: 252,
      kind: 'bytes',
      size: IP_BYTES,
      writer: sender,
      doc: 'IP address of the other end, as localIp',
    },
  },
  { doc: 'Payload of HAND STATE.' },
);

export const MovePayload = defineLayout(
  'MovePayload',
  24,
  {
    process: { at: 0, kind: 'u32', writer: sender, doc: 'MOVE: the taker' },
    socket: { at: 4, kind: 'u32', writer: sender, doc: 'socket of the taker (MOVE), of the sender (ATTACH, CLAIM)' },
    generation: { at: 8, kind: 'u32', writer: sender, doc: 'its generation' },
    epoch: {
      at: 16,
      kind: 'u64',
      writer: sender,
      doc: 'MOVE: epoch of the taker; ATTACH: bytes sent since the beginning; CLAIM: epoch of the dead giver',
    },
  },
  { doc: 'Payload of MOVE, ATTACH and CLAIM.' },
);
