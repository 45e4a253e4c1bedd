/** See run-schedules.ts. */
import t from 'tap';
import { runSchedules } from './run-schedules';
import { failureOf } from './simulation';

runSchedules(1);

void t.test(
  'a taker whose giver has died is answered where the other end is handed over, too, to the same process',
  (tt) => {
    tt.equal(failureOf(645_339_612), undefined);
    tt.end();
  },
);
