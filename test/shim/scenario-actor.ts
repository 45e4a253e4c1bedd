/** A process that plays the scenarios of sockets and servers, either end. */
import { playScenarios } from './scenario-ends';
import { scenarios } from './scenarios';

playScenarios(scenarios);
