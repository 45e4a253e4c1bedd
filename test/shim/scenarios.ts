/**
 * Programs as anyone would write them for TCP; the parity test runs each over TCP and over STP and compares what they
 * saw.
 */
import { addressScenarios } from './scenarios-addresses';
import { connectionScenarios } from './scenarios-connections';
import { connectScenarios } from './scenarios-connects';
import { contextScenarios } from './scenarios-contexts';
import { errorScenarios } from './scenarios-errors';
import { flowScenarios } from './scenarios-flow';
import { type Scenario } from './scenario-kit';
import { serverScenarios } from './scenarios-servers';
import { stateScenarios } from './scenarios-states';
import { streamScenarios } from './scenarios-streams';

export const scenarios: Readonly<Record<string, Scenario>> = {
  ...connectionScenarios,
  ...streamScenarios,
  ...errorScenarios,
  ...stateScenarios,
  ...flowScenarios,
  ...serverScenarios,
  ...addressScenarios,
  ...connectScenarios,
  ...contextScenarios,
};
