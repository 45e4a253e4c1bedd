import { createServer } from 'node:net';
import { Aedes } from 'aedes';
import { tell } from './kit.mjs';

const broker = await Aedes.createBroker();
const server = createServer(broker.handle);
server.listen(0, 'localhost', () => tell({ port: server.address().port }));
