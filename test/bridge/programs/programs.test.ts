/** Programs that know nothing of STP, through a pair of bridges; `npm run test:bridge` runs those that take longer. */
import t from 'tap';
import { CASES, missing } from './cases';
import { Stage } from './stage';

for (const one of CASES.filter(({ long }) => long !== true)) {
  const packages = missing(one);
  const skip = packages.length > 0 && `not installed: ${packages.join(' ')}`;
  void t.test(`${one.name} works through two bridges and a region`, { skip }, async (t) => {
    const stage = new Stage();
    t.teardown(() => stage.close());
    t.comment(await one.run(stage));
  });
}
