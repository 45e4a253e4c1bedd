import mysql from 'mysql2/promise';
import { must, tell, told } from './kit.mjs';

const pool = mysql.createPool({ host: '127.0.0.1', port: told().port, user: 'user', connectionLimit: 4 });
const answers = await Promise.all(Array.from({ length: 60 }, (_, i) => pool.query(`SELECT ${i + 1} rows`)));
must(
  answers.every(([rows], i) => rows.length === i + 1 && rows[i].id === String(i)),
  'rows',
);
const [many] = await pool.query('SELECT 20000 rows');
must(many[19_999].text.startsWith('row 19999 '), 'the last of 20,000 rows');
const wrong = await pool.query('DROP all').catch(({ errno, message }) => `${errno} ${message}`);
await pool.end();
tell({ queries: answers.length, rows: many.length, wrong });
