/** Names of files that are not in place yet begin with this; one left behind by a crash is of no use to anybody, and recovery removes it. */
export const TEMPORARY_PREFIX = '.new-';
