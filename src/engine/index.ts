/** The engine layer: the connection protocol as a pure state machine. */
export { askingCost } from './asking';
export type { Remains } from './deaths';
export type { EarlyOptions } from './early';
export { Engine } from './engine';
export { forEach } from './for-each';
export { accept, acceptedIp, connect, type ConnectOptions, listen, stopListening } from './handshake';
export { give } from './hand-over-giver';
export { SECRET_BYTES } from './hand-over-state';
export { take } from './hand-over-taker';
export { Peer } from './peer';
export type { EnginePorts, PeerPort, SocketOwner } from './ports';
export type { Request } from './request';
export { DEFAULT_WINDOW_BYTES, EngineSocket, type EngineAddress, type PendingSend } from './socket';
export { close, receive, send, sendLater, shutdown } from './stream';
