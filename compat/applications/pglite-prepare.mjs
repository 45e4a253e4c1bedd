/**
 * Makes an empty database once, since that takes longer than all that the clients do with it. Argument: the file to
 * write.
 */
import { renameSync, writeFileSync } from 'node:fs';
import { PGlite } from '@electric-sql/pglite';

const [file] = process.argv.slice(2);
const db = await PGlite.create();
const dump = await db.dumpDataDir('none');
writeFileSync(`${file}.${process.pid}`, Buffer.from(await dump.arrayBuffer()));
renameSync(`${file}.${process.pid}`, file);
await db.close();
