import t from 'tap';
import { matchRules, parseRules } from '../../shim/connect/rules';

const decide = (text: string, host: string, port: number): string | undefined =>
  matchRules(parseRules(text), host, port);

void t.test('the first rule that fits counts', (t) => {
  const rules = 'stp :3000-3999; tcp *.example.com; tcp db:5432 ; auto *';
  t.equal(decide(rules, 'a.example.com', 3000), 'stp');
  t.equal(decide(rules, 'a.example.com', 2999), 'tcp');
  t.equal(decide(rules, 'example.com', 2999), 'auto', 'a star and a dot want something before them');
  t.equal(decide(rules, 'localhost', 3999), 'stp');
  t.equal(decide(rules, 'localhost', 4000), 'auto');
  t.equal(decide(rules, 'DB', 5432), 'tcp', 'names compare without case');
  t.equal(decide(rules, 'db', 5433), 'auto');
  t.equal(decide('tcp :80', 'x', 81), undefined, 'where none fits there is no action');
  t.equal(decide('', 'x', 80), undefined);
  t.equal(decide(' ; stp *;', 'x', 0), 'stp', 'empty rules do no harm');
  t.end();
});

void t.test('patterns know addresses, brackets, stars and ranges, and mean nothing else by dots', (t) => {
  t.equal(decide('stp 10.0.*:80', '10.0.7.1', 80), 'stp');
  t.equal(decide('stp 10.0.0.1', '10x0.0.1', 80), undefined);
  t.equal(decide('stp [fd00::*]:80', 'fd00::1', 80), 'stp');
  t.equal(decide('stp [::1]', '::1', 9), 'stp');
  t.equal(decide('stp a*c:*', 'abbbc', 65_535), 'stp');
  t.equal(decide('stp *:0-65535', 'any', 0), 'stp');
  t.equal(decide('stp a-b_c', 'a-b_c', 1), 'stp');
  t.end();
});

void t.test('a wrong rule is an error that names its place', (t) => {
  const wrong: [string, RegExp][] = [
    ['udp *', /STP_RULES, column 1: "udp" must be 'stp', 'tcp' or 'auto'/],
    ['stp *; ftp :21', /column 8: "ftp"/],
    ['stp', /column 4: 'stp' needs a pattern/],
    ['  stp  ', /column 6: 'stp' needs a pattern/],
    ['stp a b', /column 6: one pattern for each rule/],
    ['stp :70000', /column 6: "70000" must be a port/],
    ['stp :20-10', /column 6: the range 20-10 ends before it begins/],
    ['stp :', /column 6: "" must be a port/],
    ['stp ::1', /column 6: ":1" must be a port/],
    ['stp a/b', /column 5: "a\/b" is no host/],
    ['stp [::1', /column 5/],
    ['stp x:1-2-3', /column 7/],
    ['STP *', /column 1/],
  ];
  for (const [text, message] of wrong) t.throws(() => parseRules(text), { code: 'ESTPCONFIG', message }, text);
  t.end();
});
