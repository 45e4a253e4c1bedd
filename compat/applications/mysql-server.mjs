import mysql from 'mysql2';
import { tell } from './kit.mjs';

const column = (name) => ({
  catalog: 'def',
  schema: 'trial',
  table: 't',
  orgTable: 't',
  name,
  orgName: name,
  characterSet: 33,
  columnLength: 1 << 16,
  columnType: 253,
  flags: 0,
  decimals: 0,
});

// This server goes on to count where the client begins anew with each command, and warns of that.
console.error = () => {};

let ids = 0;
const server = mysql.createServer((connection) => {
  connection.serverHandshake({
    protocolVersion: 10,
    serverVersion: '8.0.0',
    connectionId: ++ids,
    statusFlags: 2,
    characterSet: 8,
    capabilityFlags: 0xffffff & ~0x800,
  });
  connection.on('error', () => {});
  connection.on('query', (sql) => {
    connection.sequenceId = 1;
    const [, rows] = /^SELECT (\d+) rows$/u.exec(sql) ?? [];
    if (rows === undefined) connection.writeError({ code: 1064, message: `no such query: ${sql}` });
    else {
      connection.writeTextResult(
        Array.from({ length: Number(rows) }, (_, i) => ({ id: String(i), text: `row ${i} ${'z'.repeat(100)}` })),
        [column('id'), column('text')],
      );
    }
  });
});
server.listen(0, '127.0.0.1', () => tell({ port: server._server.address().port }));
