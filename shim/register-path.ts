/** The file that a preload names, for what the hook starts itself. It lies beside this one, also in the bundle. */
import path from 'node:path';

export const REGISTER_PATH = path.join(__dirname, 'register.js');
