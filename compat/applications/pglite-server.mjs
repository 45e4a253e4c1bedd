/** Argument: the file that pglite-prepare.mjs has written. */
import { Blob } from 'node:buffer';
import { readFileSync } from 'node:fs';
import { PGlite } from '@electric-sql/pglite';
import { PGLiteSocketServer } from '@electric-sql/pglite-socket';
import { tell } from './kit.mjs';

const [file] = process.argv.slice(2);
const db = await PGlite.create(file === undefined ? {} : { loadDataDir: new Blob([readFileSync(file)]) });
const server = new PGLiteSocketServer({ db, host: '127.0.0.1', port: 0, maxConnections: 4 });
server.addEventListener('listening', ({ detail }) => tell({ port: detail.port }));
await server.start();
