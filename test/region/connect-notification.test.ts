import t from 'tap';
import { decodeNotifications, encodeNotification, LOOK_AT_ALL } from '../../src/region/connect-notification';

void t.test('Numbers of processes come as they were written, each once', (t) => {
  const bytes = Buffer.concat([7, 4_294_967_295, 7, 1].map(encodeNotification));
  t.same(decodeNotifications(bytes), [7, 4_294_967_295, 1]);
  t.end();
});

void t.test('What names no process, or is cut, makes the reader look at all names', (t) => {
  t.same(decodeNotifications(Buffer.alloc(0)), []);
  t.same(decodeNotifications(Buffer.concat([7, LOOK_AT_ALL].map(encodeNotification))), []);
  t.same(decodeNotifications(Buffer.from('!')), [], 'one byte');
  t.same(decodeNotifications(encodeNotification(7).subarray(0, 3)), [], 'three bytes');
  t.end();
});
