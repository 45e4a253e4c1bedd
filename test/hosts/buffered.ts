/** Preload of the negative control: files are opened without O_DIRECT, as a driver would that trusts its page cache. */
import fs from 'node:fs';

const { O_DIRECT } = fs.constants;
const openSync = fs.openSync;
fs.openSync = (file, flags, mode) => openSync(file, typeof flags === 'number' ? flags & ~O_DIRECT : flags, mode);
