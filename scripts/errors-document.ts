/** The text of docs/errors.md, from the table in src/errors.ts. */
import { ERRORS, errnoOf, type ErrorCode } from '../src/errors';

/**
 * Errors in two tables: those that TCP programs know, and STP's own. Numbers differ between systems only for the
 * former.
 */
export function errorsDocument(): string {
  const codes = Object.keys(ERRORS) as ErrorCode[];
  const own = codes.filter((code) => code.startsWith('ESTP'));
  const posix = codes.filter((code) => !code.startsWith('ESTP'));
  return [
    '# Errors',
    '',
    '<!-- Generated from src/errors.ts by `npm run docs`; do not edit. -->',
    '',
    'Every failure of the call library is an `StpError` with a stable `code`, the negative `errno`, ' +
      'and the `syscall` that',
    'failed. Compare codes, never messages. Sockets of the drop-in `net` give the errors that Node gives for TCP.',
    '',
    '## Codes that the system knows too',
    '',
    "`errno` is the running system's own number, negated.",
    '',
    '| code | text | meaning |',
    '| --- | --- | --- |',
    ...posix.map((code) => `| \`${code}\` | ${ERRORS[code].text} | ${ERRORS[code].doc} |`),
    '',
    '## Codes of STP',
    '',
    '| code | errno | text | meaning |',
    '| --- | --- | --- | --- |',
    ...own.map((code) => `| \`${code}\` | ${-errnoOf(code)} | ${ERRORS[code].text} | ${ERRORS[code].doc} |`),
    '',
  ].join('\n');
}
