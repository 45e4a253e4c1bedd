/** The bridge: a process of its own that lets programs take part which know nothing of STP. */
export { shownStp, stpAddress, partsOf } from './address';
export { Bridge, type BridgeEvents, type BridgeOptions, type OpenForward } from './bridge';
export { Credentials } from './credentials';
export { type Forward, localForward, localUdpForward, proxyForward, remoteForward, shownForward } from './forward';
export { Rate } from './rate';
export { TargetRules } from './rules';
export { joinStdio } from './stdio';
export { connectStp } from './stp-stream';
export { systemOf } from './system-names';
