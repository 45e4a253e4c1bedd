/** Wrong configuration, as an error of the call library. Loads it, which no configuration that is right does. */
import { loadCalls } from './lazy';

export function configurationError(text: string): Error {
  const { StpError } = loadCalls();
  return new StpError('ESTPCONFIG', text);
}
