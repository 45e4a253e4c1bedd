/** In what ways each application is run, and by what its connections must go. */

/**
 * What is wrong with the region: `late`: it is damaged when the server listens already; `low`: it has room for the
 * server and not for a connection.
 */
export type RegionState = 'good' | 'missing' | 'full' | 'low' | 'damaged' | 'late';

export interface RunSetting {
  readonly name: string;
  /** Which of the two processes have the hook. */
  readonly hooked: 'none' | 'server' | 'client' | 'both';
  readonly mode: 'auto' | 'stp';
  /** Undefined: what the machine has. */
  readonly driver?: 'mapped' | 'direct';
  readonly region: RegionState;
  /** By what every connection must go. */
  readonly transport: 'stp' | 'tcp';
  /** What each connection of a client with the hook says why. */
  readonly reason?: string;
  /** Each process in a namespace of its own in which kernel TCP can't connect. */
  readonly blocked?: true;
}

export const NATIVE: RunSetting = { name: 'native', hooked: 'none', mode: 'auto', region: 'good', transport: 'tcp' };

export const SETTINGS: readonly RunSetting[] = [
  NATIVE,
  {
    name: 'stp mapped',
    hooked: 'both',
    mode: 'stp',
    driver: 'mapped',
    region: 'good',
    transport: 'stp',
    reason: 'MODE_STP',
    blocked: true,
  },
  {
    name: 'stp direct',
    hooked: 'both',
    mode: 'stp',
    driver: 'direct',
    region: 'good',
    transport: 'stp',
    reason: 'MODE_STP',
    blocked: true,
  },
  { name: 'auto both', hooked: 'both', mode: 'auto', region: 'good', transport: 'stp', reason: 'LISTENER_FOUND' },
  { name: 'auto server', hooked: 'server', mode: 'auto', region: 'good', transport: 'tcp' },
  { name: 'auto client', hooked: 'client', mode: 'auto', region: 'good', transport: 'tcp', reason: 'NO_LISTENER' },
  // A client looks no further where no process has a place: there is no listener, and nothing is loaded to find that
  // out.
  { name: 'region missing', hooked: 'both', mode: 'auto', region: 'missing', transport: 'tcp', reason: 'NO_LISTENER' },
  { name: 'region full', hooked: 'both', mode: 'auto', region: 'full', transport: 'tcp', reason: 'REGION_UNUSABLE' },
  { name: 'region low', hooked: 'both', mode: 'auto', region: 'low', transport: 'tcp', reason: 'REGION_UNUSABLE' },
  { name: 'region damaged', hooked: 'both', mode: 'auto', region: 'damaged', transport: 'tcp', reason: 'NO_LISTENER' },
  { name: 'damaged late', hooked: 'both', mode: 'auto', region: 'late', transport: 'tcp', reason: 'REGION_UNUSABLE' },
];
