/** A short run of the decoder fuzzer; `npm run fuzz:region` is the long one. */
import t from 'tap';
import { allTargets, fuzzDecoders } from './decoder-fuzz';

void t.test('damaged bytes are a checked value or the declared error of every decoder', (t) => {
  const seed = Number(process.env['STP_SEED'] ?? Math.floor(Math.random() * 0x4000_0000));
  t.comment(`seed ${seed}; STP_SEED=${seed} runs it again`);
  const report = fuzzDecoders({ seed, inputs: 3000 });
  t.same(report.findings, []);
  t.equal(report.inputs, 3000);
  t.ok(report.refused > 500, 'the damage is seen');
  t.ok(allTargets().length >= 14);
  t.end();
});
