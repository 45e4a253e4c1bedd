/** See run-schedules.ts. */
import { runSchedules } from './run-schedules';

runSchedules(3);
