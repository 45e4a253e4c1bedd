import { type EngineAddress } from '../engine';
import { AF_STP } from './constants';
import { type StpAddress } from './types';

/** An address of a socket as the calls return it. */
export function shownAddress({ system, group, port, ip }: EngineAddress): StpAddress {
  return { family: AF_STP, system, group, port, ...(ip === '' ? {} : { ip }) };
}
