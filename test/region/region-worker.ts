/** A worker thread that opens the region of its options, says its number and stays. */
import { parentPort, workerData } from 'node:worker_threads';
import { Region, type RegionOptions } from '../../src/region';

const region = Region.open(workerData as RegionOptions);
parentPort?.postMessage(region.self.number);
parentPort?.on('message', () => undefined);
