/** Asks the telnet server of the applications one thing. */
import net from 'node:net';

const { port } = JSON.parse(process.argv[2]);
const socket = net.connect(port, '127.0.0.1');
let text = '';
socket.write('user\r\nsecret\r\necho hello\r\nexit\r\n');
socket.on('data', (data) => (text += data.toString('latin1')));
socket.on('close', () => process.stdout.write(`${JSON.stringify({ hello: text.includes('\r\nhello\r\n') })}\n`));
