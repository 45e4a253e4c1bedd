/** What shows that the other cases prove something: that two hosts share no memory. */
import assert from 'node:assert/strict';
import path from 'node:path';
import { type Host } from './host';
import { finishBoth, joinActors, more, type Scene, startDuplex } from './scene';

const BLOCK_BYTES = 4096;
const STALE_LOOKS = 50;

/** True where host B, which has read a block through its page cache, does not see that A has written it again. */
async function isBlind(scene: Scene): Promise<boolean> {
  const [a, b] = await Promise.all([scene.actor(scene.a), scene.actor(scene.b)]);
  const place = (host: Host): string => path.posix.join(host.directory, `${scene.region}-block`);
  await a.run(
    (kit, file, bytes) => {
      kit.openRaw('out', file, bytes);
    },
    place(scene.a),
    BLOCK_BYTES,
  );
  await a.run((kit, bytes) => {
    kit.raw('out').write(1, bytes, 0, bytes);
  }, BLOCK_BYTES);
  const first = await b.run(
    (kit, file, bytes) => {
      kit.openBuffered(file, bytes);
      return kit.raw('in').look();
    },
    place(scene.b),
    BLOCK_BYTES,
  );
  await a.run((kit, bytes) => {
    kit.raw('out').write(2, bytes, 0, bytes);
  }, BLOCK_BYTES);
  const later = await b.run(async (kit, looks) => {
    let seen = 0;
    for (let i = 0; i < looks; i++) {
      seen = kit.raw('in').look();
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    return seen;
  }, STALE_LOOKS);
  return first === 1 && later === 1;
}

/**
 * Sockets over buffered files: what went wrong, or that nothing did, as where a look at a file's attributes makes the
 * client ask the server again.
 */
async function overBuffered(scene: Scene): Promise<string> {
  const buffered = { execArgv: ['--require', path.join(__dirname, 'buffered.js')] };
  return Promise.race([
    (async () => {
      const [a, b] = await Promise.all([scene.actor(scene.a, buffered), scene.actor(scene.b, buffered)]);
      await joinActors(a, b);
      await startDuplex(b, 2, 1);
      await startDuplex(a, 1, 2);
      await more(b, 8_000_000);
      await finishBoth(a, b);
      return 'sockets get through all the same';
    })().catch(
      (error: unknown) =>
        `sockets fail: ${(error instanceof Error ? error.message : String(error)).split('\n')[0] ?? ''}`,
    ),
    new Promise<string>((resolve) =>
      setTimeout(() => {
        resolve('nothing arrives by sockets');
      }, 8000),
    ),
  ]);
}

/** Where no client keeps pages, two hosts are two kernels, or the other cases prove nothing. */
async function areTwoKernels(scene: Scene): Promise<string> {
  const [one, other] = await Promise.all((await scene.actors()).map((actor) => actor.run((kit) => kit.bootId())));
  assert.notEqual(one, other, 'these hosts are one kernel');
  assert.ok(!(await isBlind(scene)), 'this client is said to keep no pages of files, and does');
  return `two kernels; their clients keep no pages of files, and with buffered I/O ${await overBuffered(scene)}`;
}

export async function negativeControl(scene: Scene): Promise<string> {
  if (!scene.stand.pageCache) return areTwoKernels(scene);
  assert.ok(
    await isBlind(scene),
    'buffered reads see what the other host writes: these hosts share a page cache, and the other cases prove nothing',
  );
  return (
    'what the other host writes again is not seen through the page cache; ' +
    `with buffered I/O ${await overBuffered(scene)}`
  );
}
