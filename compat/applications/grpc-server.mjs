import grpc from '@grpc/grpc-js';
import { tell } from './kit.mjs';
import { service } from './grpc-service.mjs';

const server = new grpc.Server({ 'grpc.max_receive_message_length': 8 << 20 });
server.addService(service, {
  echo: ({ request, metadata }, done) => {
    if (request.refuse) done({ code: grpc.status.PERMISSION_DENIED, details: 'not you' });
    else if (!request.silent) done(null, { text: request.text, from: metadata.get('who')[0] });
  },
  count: (call) => {
    for (let i = 0; i < call.request.to; i += 1) call.write({ i, filler: 'x'.repeat(1000) });
    call.end();
  },
  sum: (call, done) => {
    let sum = 0;
    call.on('data', ({ i }) => (sum += i)).on('end', () => done(null, { sum }));
  },
  chat: (call) => {
    call.on('data', (message) => call.write({ back: message.n })).on('end', () => call.end());
  },
});
server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, port) => {
  if (error) throw error;
  tell({ port });
});
