/** Programs as anyone would write them for TCP; the parity test runs each over TCP and over STP and compares what they saw. */
import { connectionScenarios } from './scenarios-connections';
import { errorScenarios } from './scenarios-errors';
import { type Scenario } from './scenario-kit';
import { streamScenarios } from './scenarios-streams';

export const scenarios: Readonly<Record<string, Scenario>> = { ...connectionScenarios, ...streamScenarios, ...errorScenarios };
