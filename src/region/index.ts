/** The region layer: which processes are here, where they listen, which sockets there are, which processes are dead. */
export { type BindOptions, type PortInfo, Bindings } from './bindings';
export { PORT_MAX } from './binding-table';
export { decodeNotifications, encodeNotification } from './connect-notification';
export { checkRegionDirectory } from './directory';
export { type RegionFacts, type RegionLimits } from './header';
export { type Host, Hosts } from './hosts';
export { inspectRegion, type InspectedProcess, type InspectedSocket, type RegionSnapshot } from './inspect';
export { type FoundListener, type ListenerQuery } from './listener-search';
export { type Liveness, type Machine, machine, sharingId } from './machine';
export { GROUP_BYTES_MAX, isGroupName, isSystemName, SYSTEM_BYTES_MAX, systemKey } from './names';
export {
  checkRegionOptions,
  DEFAULT_GROUP,
  defaultRegionDirectory,
  defaultSystem,
  type RegionOptions,
  regionOptions,
} from './options';
export { livenessFifoPathOf, type ProcessInfo, processPath, type ProcessStateName } from './process-info';
export { pairOfName, type RecoverySummary } from './recovery';
export { Region, type RegionSetup } from './region';
export { removeRegion, type RemovedRegion } from './remove-region';
export { type ScbCounters, type ScbValues, SocketTable } from './socket-table';
