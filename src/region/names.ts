/**
 * What a system and a transport group may be called. Names are ASCII, so that their length in bytes is their length and
 * comparing without case needs no locale.
 */

/** Longest system name, bytes. */
export const SYSTEM_BYTES_MAX = 63;
/** Longest group name, bytes. */
export const GROUP_BYTES_MAX = 15;

const SYSTEM_NAME = new RegExp(`^[A-Za-z0-9._-]{1,${SYSTEM_BYTES_MAX}}$`);
const GROUP_NAME = new RegExp(`^[A-Za-z0-9._-]{1,${GROUP_BYTES_MAX}}$`);

/** True for 1 to 63 letters, digits, '.', '_' and '-'. */
export function isSystemName(text: string): boolean {
  return SYSTEM_NAME.test(text);
}

/** True for 1 to 15 letters, digits, '.', '_' and '-'. */
export function isGroupName(text: string): boolean {
  return GROUP_NAME.test(text);
}

/** What system names are compared by: they differ in case only where they name the same system. */
export function systemKey(system: string): string {
  return system.toLowerCase();
}

// eslint-disable-next-line no-control-regex -- they are what must not reach a terminal
const CONTROL_CHARACTERS = /[\u0000-\u001f\u007f-\u009f\ufffd]/gu;

/** Text from the region that is shown to people: nothing in it can steer a terminal. */
export function printable(text: string): string {
  return text.replace(CONTROL_CHARACTERS, '?');
}
