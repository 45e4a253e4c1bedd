/** `vite` in a project of its own, as somebody would start it. */
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { devServer } from './dev-server.mjs';

const root = path.resolve('vite');
fs.mkdirSync(root);
fs.writeFileSync(
  path.join(root, 'index.html'),
  '<!doctype html><title>compat</title><script type="module" src="/main.ts"></script>',
);
fs.writeFileSync(
  path.join(root, 'main.ts'),
  `import { message } from './message';
const shown: string = message;
document.body.textContent = shown;
import.meta.hot?.accept('./message', () => {});
`,
);
fs.writeFileSync(path.join(root, 'message.ts'), `export const message: string = 'first';\n`);
const vite = path.join(path.dirname(createRequire(import.meta.url).resolve('vite/package.json')), 'bin/vite.js');
devServer([vite], root);
