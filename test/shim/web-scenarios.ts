/** Programs of http, https, tls and http2; the test runs each over TCP and over STP and compares what both ends saw. */
import { type Scenario } from './scenario-kit';
import { httpScenarios } from './web-scenarios-http';
import { handshakeScenarios } from './web-scenarios-handshake';
import { endScenarios } from './web-scenarios-ends';
import { httpsScenarios } from './web-scenarios-https';
import { http2Scenarios } from './web-scenarios-http2';
import { layerScenarios } from './web-scenarios-layers';
import { http2EndScenarios } from './web-scenarios-http2-ends';
import { renewalScenarios } from './web-scenarios-renewals';
import { tlsScenarios } from './web-scenarios-tls';
import { upgradeScenarios } from './web-scenarios-upgrades';

export const webScenarios: Readonly<Record<string, Scenario>> = {
  ...httpScenarios,
  ...upgradeScenarios,
  ...endScenarios,
  ...httpsScenarios,
  ...handshakeScenarios,
  ...tlsScenarios,
  ...layerScenarios,
  ...renewalScenarios,
  ...http2Scenarios,
  ...http2EndScenarios,
};
