/** A worker thread that opens the region of its options, says its number and stays. */
import net from 'node:net';
import { parentPort, workerData } from 'node:worker_threads';
import { Region, type RegionOptions } from '../../src/region';

const region = Region.open(workerData as RegionOptions);
// As the poller does: a socket takes the door over, and is closed with the thread whatever ends it.
if (region.doorFd !== undefined) new net.Socket({ fd: region.doorFd, readable: true, writable: false }).resume();
parentPort?.postMessage(region.self.number);
parentPort?.on('message', () => undefined);
