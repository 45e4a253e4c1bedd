import { errnoOf, ERRORS, type ErrorCode } from '../errors';
import { shown } from './check';
import { STPerror } from './stp-error';

/**
 * The text of an error. Does not wait and never fails: an unknown number has a text as well.
 *
 * Source: "STPstrerror": the text of the last STP specific error.
 * @param errno - by default the last error of the library
 */
export function STPstrerror(errno: unknown = STPerror()): string {
  if (errno === 0) return 'no error';
  if (typeof errno !== 'number') return `unknown error ${shown(errno)}`;
  const code = (Object.keys(ERRORS) as ErrorCode[]).find((known) => errnoOf(known) === Math.abs(errno));
  return code === undefined ? `unknown error ${errno}` : ERRORS[code].text;
}
