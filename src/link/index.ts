/** The link layer: logs between processes, bells, and the loop that looks for records. */
export { Link, type LinkSink } from './link';
export { type Leftovers } from './dead-peer';
export { LinkTable, type LinkTableEvents } from './link-table';
export { Poller } from './poller';
export { DEFAULT_SPIN_US, SPIN_US_MAX } from './spin';
