import { must, tell, told } from './kit.mjs';

const { url } = told();
const page = await fetch(url, { headers: { 'x-name': 'compat' } });
const html = await page.text();
must(page.status === 200 && /Hello (<!-- -->)?compat/u.test(html), `the page: ${page.status} ${html}`);
const script = /src="(\/_next\/static\/[^"]+\.js[^"]*)"/u.exec(html)?.[1];
const { status } = await fetch(new URL(script, url));
const answers = await Promise.all(
  Array.from({ length: 20 }, async (_, i) => {
    const response = await fetch(new URL('/api/sum', url), {
      method: 'POST',
      body: JSON.stringify({ numbers: [i, 1] }),
    });
    must(response.status === 201, `the route: ${response.status}`);
    return (await response.json()).sum;
  }),
);
must(
  answers.every((sum, i) => sum === i + 1),
  'the sums',
);
const missing = await fetch(new URL('/nowhere', url));
tell({ script: status, answers: answers.length, missing: missing.status });
process.exit(0);
