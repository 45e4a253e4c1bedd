import t from 'tap';
import { blockSuite, frameDamageSuite, logSuite, ringDamageSuite } from './conformance';
import { allKits } from './kits';

for (const kit of allKits()) {
  void t.test(kit.name, kit.skip === undefined ? {} : { skip: kit.skip }, (tt) => {
    blockSuite(tt, kit);
    logSuite(tt, kit);
    if (kit.mechanism === 'ring') ringDamageSuite(tt, kit);
    else frameDamageSuite(tt, kit);
    tt.end();
  });
}
