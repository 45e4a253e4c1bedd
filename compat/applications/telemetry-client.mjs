/** Instrumentation that lays itself over net and http. */
import { createRequire } from 'node:module';
import { registerInstrumentations } from '@opentelemetry/instrumentation';
import { HttpInstrumentation } from '@opentelemetry/instrumentation-http';
import { NetInstrumentation } from '@opentelemetry/instrumentation-net';
import { InMemorySpanExporter, NodeTracerProvider, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-node';
import { must, tell, told } from './kit.mjs';

const exporter = new InMemorySpanExporter();
const provider = new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
provider.register();
registerInstrumentations({ instrumentations: [new NetInstrumentation(), new HttpInstrumentation()] });
const require = createRequire(import.meta.url);
const http = require('node:http');

const { port } = told();
const get = (path) =>
  new Promise((resolve, reject) => {
    http
      .get({ port, host: '127.0.0.1', path, agent: false }, (response) => {
        response.resume().on('end', () => resolve(response.statusCode));
      })
      .on('error', reject);
  });
const codes = [];
for (const path of ['/hello/1', '/hello/2', '/missing', '/file']) codes.push(await get(path));
await provider.forceFlush();
const spans = exporter.getFinishedSpans();
const ofHttp = spans.filter(({ name }) => name === 'GET');
const ofTcp = spans.filter(({ name }) => name.startsWith('tcp.'));
must(ofHttp.length === 4, `${ofHttp.length} spans of requests`);
tell({
  codes,
  statuses: ofHttp.map(({ attributes }) => attributes['http.response.status_code'] ?? attributes['http.status_code']),
  connects: ofTcp.length,
  under: ofTcp.every(
    ({ parentSpanContext, parentSpanId }) => (parentSpanContext?.spanId ?? parentSpanId) !== undefined,
  ),
});
