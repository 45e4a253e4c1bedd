/**
 * Names and passwords of the clients of a proxy: lines of `name:password` in a file that no other user may read.
 * Compared in constant time, whatever the lengths.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import fs from 'node:fs';
import { StpError } from '../errors';

/** SOCKS has no room for more. */
const FIELD_MAX_BYTES = 255;
const OTHERS = 0o077;

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

export class Credentials {
  readonly #digests: readonly Buffer[];

  constructor(lines: readonly string[]) {
    this.#digests = lines.map(digest);
  }

  /** Throws ESTPCONFIG where the file can't be used; it says no password. */
  static read(file: string): Credentials {
    const wrong = (why: string): StpError => new StpError('ESTPCONFIG', `--auth-file ${file}: ${why}`);
    let text: string;
    try {
      // Windows has no such modes.
      if (process.platform !== 'win32' && (fs.statSync(file).mode & OTHERS) !== 0)
        throw wrong('other users may use it; chmod 600 it');
      text = fs.readFileSync(file, 'utf8');
    } catch (error) {
      if (error instanceof StpError) throw error;
      throw wrong((error as Error).message);
    }
    const lines = text.split(/\r?\n/u).filter((line) => line !== '' && !line.startsWith('#'));
    for (const [at, line] of lines.entries()) {
      const colon = line.indexOf(':');
      if (colon < 1 || colon === line.length - 1) throw wrong(`entry ${at + 1} is not name:password`);
      if (colon > FIELD_MAX_BYTES || Buffer.byteLength(line) - colon - 1 > FIELD_MAX_BYTES)
        throw wrong(`entry ${at + 1} is longer than ${FIELD_MAX_BYTES} bytes a field`);
    }
    if (lines.length === 0) throw wrong('there is no name:password in it');
    return new Credentials(lines);
  }

  accepts(name: string, password: string): boolean {
    const given = digest(`${name}:${password}`);
    let found = false;
    // All of them, so that the time does not tell which.
    for (const one of this.#digests) if (timingSafeEqual(one, given)) found = true;
    return found;
  }
}
