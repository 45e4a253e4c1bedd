import nodemailer from 'nodemailer';
import { bytes, checksum, must, tell, told } from './kit.mjs';

const options = { host: '127.0.0.1', port: told().port, requireTLS: true, tls: { rejectUnauthorized: false } };
const refused = await nodemailer
  .createTransport({ ...options, auth: { user: 'user', pass: 'wrong' } })
  .sendMail({ from: 'a@example.com', to: 'b@example.com', text: '-' })
  .catch((error) => error.code);
const distrusted = await nodemailer
  .createTransport({ ...options, tls: {} })
  .sendMail({ from: 'a@example.com', to: 'b@example.com', text: '-' })
  .catch((error) => error.code);
const transport = nodemailer.createTransport({
  ...options,
  pool: true,
  maxConnections: 3,
  auth: { user: 'user', pass: 'secret' },
});
await transport.verify();
const mails = await Promise.all(
  Array.from({ length: 12 }, async (_, i) => {
    const data = bytes(i * 60_000, i + 1);
    const { response } = await transport.sendMail({
      from: 'a@example.com',
      to: ['b@example.com', 'c@example.com'],
      subject: `mail ${i}`,
      text: 'with an attachment',
      attachments: [{ filename: 'data.bin', content: data }],
    });
    must(
      response.includes(`2 recipients`) && response.endsWith(`${data.length} ${checksum(data)}`),
      `mail ${i}: ${response}`,
    );
    return response;
  }),
);
transport.close();
tell({ mails: mails.length, last: mails[11].split(', ').slice(1), refused, distrusted });
