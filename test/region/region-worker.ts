/** A worker thread that opens the region of its options, says its number and stays. */
import net from 'node:net';
import { parentPort, workerData } from 'node:worker_threads';
import { Region, type RegionOptions } from '../../src/region';

const region = Region.open(workerData as RegionOptions);
// As the poller does: a socket takes the liveness FIFO over, and is closed with the thread whatever ends it.
if (region.livenessFd !== undefined)
  new net.Socket({ fd: region.livenessFd, readable: true, writable: false }).resume();
parentPort?.postMessage(region.self.number);
parentPort?.on('message', () => undefined);
