import pg from 'pg';
import { bytes, checksum, must, tell, told } from './kit.mjs';

const client = new pg.Client({
  host: '127.0.0.1',
  port: told().port,
  user: 'postgres',
  database: 'postgres',
  password: 'postgres',
});
await client.connect();
await client.query('CREATE TABLE things (id serial PRIMARY KEY, name text, data bytea)');
for (let i = 0; i < 50; i += 1) await client.query('INSERT INTO things (name) VALUES ($1)', [`thing ${i}`]);
const { rows } = await client.query('SELECT count(*)::int AS count, max(name) AS last FROM things WHERE id > $1', [10]);
const big = bytes(1 << 20);
await client.query('INSERT INTO things (name, data) VALUES ($1, $2)', ['big', big]);
const back = (await client.query("SELECT data FROM things WHERE name = 'big'")).rows[0].data;
must(checksum(back) === checksum(big), 'bytea');
const many = await client.query('SELECT i, md5(i::text) AS hash FROM generate_series(1, 20000) AS i');
await client.query('BEGIN');
await client.query('DELETE FROM things');
await client.query('ROLLBACK');
const left = (await client.query('SELECT count(*)::int AS count FROM things')).rows[0].count;
const wrong = await client.query('SELECT nothing').catch((error) => error.code);
await client.end();
tell({ ...rows[0], big: checksum(back), many: many.rows.length, hash: many.rows[19999].hash, left, wrong });
