/** A small run of `npm run fuzz:bridge`. */
import process from 'node:process';
import t from 'tap';
import { freshRegion } from '../../calls/actor';
import { fuzzHandshakes } from './handshakes';
import { fuzzSockets } from './sockets';

const seed = Number(process.env['STP_SEED'] ?? Math.floor(Math.random() * 0x4000_0000));

void t.test(`whatever a client of a proxy says, only a valid request is dialled (seed ${seed})`, async (t) => {
  const { findings, dialled } = await fuzzHandshakes({ seed, inputs: 5000, progress: () => undefined });
  t.same(findings, []);
  t.ok(dialled > 500, 'valid requests are dialled');
});

void t.test(`a bridge lives on whatever its clients send, and lets each of them go (seed ${seed})`, async (t) => {
  t.same(await fuzzSockets(t, freshRegion(t), seed, 300), []);
});
