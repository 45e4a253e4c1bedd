/** What the hook loads with the first socket that STP may carry: one file of the package. */
export * as calls from '../src/index';
export * as translator from './translator';
