import { Readable } from 'node:stream';
import fastify from 'fastify';
import { bytes, checksum, tell } from './kit.mjs';

const app = fastify({ bodyLimit: 1 << 24 });
app.addContentTypeParser('application/octet-stream', { parseAs: 'buffer' }, (request, body, done) => done(null, body));
app.get(
  '/item/:id',
  { schema: { params: { type: 'object', properties: { id: { type: 'integer' } } } } },
  async (request) => ({ id: request.params.id }),
);
app.post('/raw', async (request) => ({ length: request.body.length, checksum: checksum(request.body) }));
app.get('/stream', async (request, reply) =>
  reply.type('application/octet-stream').send(Readable.from(Array.from({ length: 64 }, (_, i) => bytes(65536, i + 1)))),
);
await app.listen({ port: 0, host: 'localhost' });
tell({ port: app.server.address().port });
