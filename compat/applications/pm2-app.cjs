/** What pm2 starts: a server that ends as pm2's documentation says, when all that it was asked is answered. */
const http = require('node:http');

const server = http.createServer((request, response) => {
  response.setHeader('connection', 'close');
  setTimeout(() => response.end(JSON.stringify({ pid: process.pid })), request.url === '/slow' ? 1000 : 0);
});
server.listen(Number(process.env.PORT), '127.0.0.1');
process.on('SIGINT', () => server.close(() => process.exit(0)));
