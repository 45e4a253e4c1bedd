// What pm2 runs: tells when it listens, and ends in good order when it is asked to.
const http = require('node:http');

const server = http.createServer((request, response) => response.end(String(process.pid)));
server.listen(Number(process.env.PORT), '127.0.0.1', () => process.send('ready'));
process.on('SIGINT', () => server.close(() => process.exit(0)));
