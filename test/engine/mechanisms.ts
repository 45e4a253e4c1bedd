/** A test for each kind of log. */
import t from 'tap';

type Assert = Pick<typeof t, 'ok' | 'notOk' | 'equal' | 'not' | 'same' | 'match' | 'throws' | 'comment'>;

export function eachMechanism(title: string, run: (tt: Assert, mechanism: 'ring' | 'frames') => void): void {
  for (const mechanism of ['ring', 'frames'] as const) {
    void t.test(`${title} (${mechanism})`, (tt) => {
      run(tt, mechanism);
      tt.end();
    });
  }
}
