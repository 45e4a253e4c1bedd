/** What every storage must do, whatever it is made of. */
import t from 'tap';
import { blockSuite } from './block-suite';
import { frameDamageSuite, ringDamageSuite } from './damage-suite';
import { allKits } from './kits';
import { logSuite } from './log-suite';

for (const kit of allKits()) {
  void t.test(kit.name, kit.skip === undefined ? {} : { skip: kit.skip }, (tt) => {
    blockSuite(tt, kit);
    logSuite(tt, kit);
    if (kit.mechanism === 'ring') ringDamageSuite(tt, kit);
    else frameDamageSuite(tt, kit);
    tt.end();
  });
}
