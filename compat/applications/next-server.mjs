/**
 * `next dev` in a project of its own, as somebody would start it. By webpack: Turbopack takes no packages from outside
 * of the project.
 */
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { devServer } from './dev-server.mjs';

const root = path.resolve('next');
const write = (name, text) => {
  fs.mkdirSync(path.dirname(path.join(root, name)), { recursive: true });
  fs.writeFileSync(path.join(root, name), text);
};
const packages = path.dirname(path.dirname(createRequire(import.meta.url).resolve('next/package.json')));
write('package.json', '{ "private": true }');
write('app/layout.js', 'export default ({ children }) => <html><body>{children}</body></html>;');
write(
  'app/page.js',
  `import { headers } from 'next/headers';
export default async function Page() {
  return <h1>Hello {(await headers()).get('x-name')}</h1>;
}
`,
);
write(
  'app/api/sum/route.js',
  `export async function POST(request) {
  const { numbers } = await request.json();
  return Response.json({ sum: numbers.reduce((sum, each) => sum + each, 0) }, { status: 201 });
}
`,
);
fs.symlinkSync(packages, path.join(root, 'node_modules'));
devServer([path.join(packages, 'next/dist/bin/next'), 'dev', '--webpack'], root, { NEXT_TELEMETRY_DISABLED: '1' });
