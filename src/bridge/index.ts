/** The bridge: a process of its own that lets programs take part which know nothing of STP. */
export { partsOf, shownStp, shownTcp, stpAddress, type TcpAddress } from './address';
export { Bridge, type BridgeEvents, type BridgeOptions } from './bridge';
export { Credentials } from './credentials';
export {
  type Forward,
  localForward,
  localUdpForward,
  proxyForward,
  remoteForward,
  sameListener,
  shownForward,
} from './forward';
export { ForwardSet, type ForwardStatus, type HeldForward } from './forward-set';
export { type ProxyVersion } from './proxy-header';
export { type Side } from './proxy-protocol';
export { Rate } from './rate';
export { TargetRules } from './rules';
export { joinStdio } from './stdio';
export { connectStp } from './stp-stream';
export { systemOf } from './system-names';
