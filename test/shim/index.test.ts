/** `stp-net` in place of `node:net`: the same exports, by require and by import, as values and as types. */
import net from 'node:net';
import t from 'tap';
import stpNet from '../../shim/index';
import { node, PACKAGE, scratch } from './kit';

// These compile, or they don't: the types are assignable both ways.
// eslint-disable-next-line @typescript-eslint/consistent-type-imports -- the type of the module is what is compared
const asNet: typeof import('node:net') = stpNet;
const asStpNet: typeof stpNet = net;
// eslint-disable-next-line @typescript-eslint/consistent-type-imports -- the type of the module is what is compared
const module_: typeof import('../../shim/index') = net;

void t.test('it exports what node:net exports, and stpTake', (t) => {
  t.same(Object.keys(stpNet).sort(), [...Object.keys(net), 'stpTake'].sort());
  for (const key of Object.keys(net) as (keyof typeof net)[]) t.equal(stpNet[key], net[key], key);
  t.same([asNet.connect, asStpNet.connect, module_.connect], [net.connect, net.connect, net.connect]);
  t.end();
});

void t.test('Socket and Server work with and without new, and instanceof holds both ways', (t) => {
  const call = (constructor: unknown): unknown => (constructor as () => unknown)();
  for (const name of ['Socket', 'Server'] as const) {
    t.ok(new stpNet[name]() instanceof net[name], name);
    t.ok(new net[name]() instanceof stpNet[name], name);
    t.ok(call(stpNet[name]) instanceof net[name], name);
  }
  t.ok(stpNet.createServer() instanceof net.Server);
  class Own extends stpNet.Socket {}
  t.ok(new Own() instanceof net.Socket);
  t.end();
});

void t.test('an import swap is enough, in ESM and in CommonJS, also for subclasses and named imports', async (t) => {
  const { region, remove } = scratch();
  t.teardown(remove);
  const env = { STP_REGION: region, STP_NET: 'stp' };
  const program = (load: string): string => `
    ${load}
    class Caller extends net.Socket {
      static made = 0;
      constructor(options) { super(options); Caller.made += 1; }
      setNoDelay(...args) { this.told = true; return super.setNoDelay(...args); }
    }
    const server = net.createServer((socket) => socket.pipe(socket));
    server.listen(0, () => {
      const socket = new Caller();
      socket.connect(server.address().port, () => {
        socket.setNoDelay().end('hello');
        server.close();
      });
      let text = '';
      socket.on('data', (chunk) => (text += chunk));
      socket.on('close', () => {
        console.log(text, socket.stp.transport, socket instanceof Caller, socket.constructor.name, Caller.made,
          Object.keys(net).includes('stpTake'), typeof net.stpTake);
      });
    });
  `;
  const path = JSON.stringify(PACKAGE);
  const esm = JSON.stringify(PACKAGE.replace(/index\.js$/, 'index-esm.mjs'));
  const ways: [string, string[], string][] = [
    ['require', [], program(`const net = require(${path});`)],
    ['import of the default', ['--input-type=module'], program(`import net from ${esm};`)],
    ['import of the namespace', ['--input-type=module'], program(`import * as net from ${esm};`)],
    [
      'named imports',
      ['--input-type=module'],
      program(
        `import { connect, createServer, Socket, stpTake } from ${esm};
        const net = { connect, createServer, Socket, stpTake };`,
      ),
    ],
    ['import of the CommonJS file', ['--input-type=module'], program(`import net from ${path};`)],
  ];
  for (const [name, args, text] of ways) {
    const { stdout, stderr, code } = await node([...args, '-'], env, text);
    t.same([code, stdout], [0, 'hello stp true Caller 1 true function\n'], `${name}: ${stderr}`);
  }
});
