/** Standard input and output as one end of a connection: for ssh's ProxyCommand and for inetd. */
import fs from 'node:fs';
import os from 'node:os';
import process from 'node:process';
import { type Duplex } from 'node:stream';
import { StpError } from '../errors';

const STDOUT = 1;

/**
 * Resolves when both directions have come to their ends; rejects where the connection was reset. What is read after the
 * peer's end still goes out, as long as standard input is open.
 */
export function joinStdio(server: Duplex): Promise<void> {
  return new Promise((resolve, reject) => {
    const { stdin, stdout } = process;
    server.on('error', reject);
    stdout.on('error', (error: Error) => {
      // The reader is gone.
      server.destroy();
      reject(error);
    });
    server.once('close', () => {
      if (server.readableEnded && server.writableFinished) resolve();
      else reject(new StpError('ECONNRESET'));
    });
    server.once('end', () => {
      stdout.end(closeOutput);
    });
    server.pipe(stdout, { end: false });
    stdin.pipe(server);
  });
}

/**
 * Node keeps the descriptor open: without this the reader would see no end while input goes on. Its number gets another
 * file, as koffi writes an error at exit where there is none.
 */
function closeOutput(): void {
  try {
    fs.closeSync(STDOUT);
    fs.openSync(os.devNull, 'w');
  } catch {
    // It is closed.
  }
}
