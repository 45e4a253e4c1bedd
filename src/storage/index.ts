/**
 * The storage layer: blocks, logs and bells in a directory. The simulated storage is in ./simulated-storage: no program
 * loads it.
 */
export * from './storage';
export { type Access, accessOf, admitGroupToDirectory, isForGroup } from './access';
export { chooseDriver, COPY_ON_WRITE, type DriverChoice, type DriverReason, type WantedDriver } from './choose-driver';
export {
  canListen,
  closeFifo,
  hasFifoReader,
  makeFifo,
  openLivenessFifo,
  openFifoReader,
  openFifoWriter,
  removeFifo,
  ringFifo,
} from './fifo';
export { io } from './file-calls';
export { closeQuietly, codeOf, fileError } from './file-error';
export { FileStorage, type FileStorageOptions } from './file-storage';
export { TEMPORARY_PREFIX } from './temporary';
export { fileSystemOf, fileSystemOfMount, fileSystemOfType, type FileSystemInfo } from './file-system';
export { openPlace, tryTo } from './probe-side';
export { type MappingVerdict } from './probe-pair';
export { answerProbe, type OneSide, probeOneSide, probeTwoSides, type TwoSides } from './probe';
export { type SameFile } from './positioned-file';
export { loadNative, whyNoNative, type Mapping, type Native } from './native';
export { sendUnixDatagram } from './unix-datagram';
