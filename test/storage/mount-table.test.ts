import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { projectRoot } from '../../scripts/project-root';
import { fileSystemOf, type FileSystemInfo } from '../../src/storage';
import { fileSystemOfMount } from '../../src/storage/file-system';
import { mountOf, parseMounts, typeOfDevice } from '../../src/storage/mount-table';
import { diskDirectory, memoryDirectory } from '../memory-directory';

const STORAGE = path.join(__dirname, '../../src/storage/index.js');

/**
 * What a mount list of test/storage/mountinfo tells of a directory: `type local`, `type memory`, `type shared`; ''
 * where it tells nothing.
 */
function tells(list: string): (directory: string) => string {
  const mounts = parseMounts(
    fs.readFileSync(path.join(projectRoot(), 'test/storage/mountinfo', `${list}.txt`), 'utf8'),
  );
  return (directory) => {
    const mount = mountOf(mounts, directory);
    if (mount === undefined) return '';
    const { name, local, inMemory } = fileSystemOfMount(mounts, mount);
    return `${name} ${inMemory ? 'memory' : local ? 'local' : 'shared'}`;
  };
}

void t.test('WSL: its root is local, the drives of Windows are not', (t) => {
  const at = tells('wsl');
  t.equal(at('/srv/region'), 'ext4 local');
  t.equal(at('/dev/shm/stp-1000'), 'tmpfs memory');
  t.equal(at('/dev'), 'devtmpfs memory');
  t.equal(at('/mnt/c/Users/region'), '9p shared');
  t.equal(at('/mnt/d'), 'virtiofs shared');
  t.equal(at('/mnt/My Drive/region'), 'drvfs shared');
  t.equal(at('/mnt/cc'), 'ext4 local', 'a name that begins like a mount');
  t.end();
});

void t.test('A file system is found by its device, and by nothing that only looks like it', (t) => {
  const list = [
    '20 1 0:20 / / rw - ext4 /dev/a rw',
    '21 20 0:21 / /mnt/a\\040 8:1 \\040b rw shared:1 - nfs4 a: rw',
    '22 20 8:1 / /mnt/8:1 rw shared:2 master:3 - xfs /dev/b rw',
    '23 20 0:8 /8:1 /x rw - - 8:1 rw',
    '',
  ].join('\n');
  t.equal(typeOfDevice(list, '8:1'), 'xfs');
  t.equal(typeOfDevice(list, '0:21'), 'nfs4');
  t.equal(typeOfDevice(list, '0:2'), undefined);
  t.equal(typeOfDevice('', '0:2'), undefined);
  t.end();
});

void t.test('gVisor: its files are those of a gofer, its memory is its own', (t) => {
  const at = tells('gvisor');
  t.equal(at('/srv'), '9p shared');
  t.equal(at('/data/region'), '9p shared');
  t.equal(at('/tmp'), 'tmpfs memory');
  t.equal(at('/dev/shm'), 'tmpfs memory');
  t.end();
});

void t.test('Kata: shared folders are virtiofs or 9p, a volume may be a disk', (t) => {
  const at = tells('kata');
  t.equal(at('/srv'), 'virtiofs shared');
  t.equal(at('/shared/region'), '9p shared');
  t.equal(at('/scratch'), 'tmpfs memory');
  t.equal(at('/volume/region'), 'xfs local');
  t.end();
});

void t.test('a container: its overlay is local, volumes are what they are', (t) => {
  const at = tells('container');
  t.equal(at('/srv'), 'overlay local');
  t.equal(at('/dev/shm'), 'tmpfs memory');
  t.equal(at('/etc/hosts'), 'ext4 local');
  t.equal(at('/team/region'), 'nfs4 shared');
  for (const [place, type] of [
    ['gluster', 'fuse.glusterfs'],
    ['sshfs', 'fuse.sshfs'],
    ['fuse', 'fuse'],
    ['podman', 'fuse.fuse-overlayfs'],
    ['ntfs', 'fuseblk'],
  ] as const)
    t.equal(at(`/${place}/x`), `${type} shared`);
  t.end();
});

void t.test('of mounts over one another the last one counts, and one that is hidden does not', (t) => {
  const at = tells('stacked');
  t.equal(at('/'), 'ext4 local', 'over the file system of the start');
  t.equal(at('/srv/data'), '9p shared', 'the last of two in one place');
  t.equal(at('/srv/data/deep/region'), '9p shared', 'not the longest mount point, which lies below');
  t.equal(at('/srv/database/x'), 'tmpfs memory', 'a longer name is another name');
  t.equal(at('/mnt/a b\tc\nd\\e#fé/region'), 'ext4 local', 'a bind mount with every escape in its name');
  t.equal(at('/mnt/a'), 'btrfs local');
  t.equal(at('/mnt/cut'), 'ext4 local', 'a line that is cut short is none');
  t.end();
});

void t.test('below a root that is no mount the list tells of nothing else', (t) => {
  const at = tells('chroot');
  t.equal(at('/srv'), '');
  t.equal(at('/dev/shm/region'), 'tmpfs memory');
  t.same(parseMounts(''), []);
  t.equal(mountOf([], '/'), undefined);
  t.end();
});

void t.test('an overlay whose upper directory lies on a file server is as shared as that', (t) => {
  const upper = fs.realpathSync(t.testdir({ 'a,b c': {} }));
  const lists = (type: string): string =>
    [
      `1 1 0:1 / / rw - ${type} server:/ rw`,
      `2 1 0:2 / /over rw - overlay overlay rw,lowerdir=/usr,upperdir=${upper}/a\\054b\\040c,workdir=${upper}/aside`,
      '3 1 0:3 / /read rw - overlay overlay ro,lowerdir=/usr:/etc',
    ].join('\n');
  const localAt = (type: string, place: string): boolean | undefined => {
    const mounts = parseMounts(lists(type));
    const mount = mountOf(mounts, place);
    return mount === undefined ? undefined : fileSystemOfMount(mounts, mount).local;
  };
  t.equal(localAt('virtiofs', '/over'), false);
  t.equal(localAt('xfs', '/over'), true);
  t.equal(localAt('virtiofs', '/read'), true, 'nothing is written into one that has none');
  t.end();
});

/** What the library says of `place`, in a process that has mounts of its own: `script` makes them. */
function inMounts(script: string, place: string): FileSystemInfo {
  const code = `console.log(JSON.stringify(require(${JSON.stringify(STORAGE)}).fileSystemOf(process.argv[1])))`;
  const run = [process.execPath, '-e', code, place].map((word) => `'${word.replace(/'/gu, "'\\''")}'`).join(' ');
  const { status, stdout, stderr } = spawnSync(
    'unshare',
    ['--mount', '--propagation', 'private', 'sh', '-ec', `${script}\n${run}`],
    { encoding: 'utf8' },
  );
  if (status !== 0) throw new Error(stderr);
  return JSON.parse(stdout) as FileSystemInfo;
}

const noMounts =
  process.platform === 'linux' && spawnSync('unshare', ['--mount', 'true']).status === 0
    ? false
    : 'no mounts can be made here';

void t.test('real mounts are told apart', { skip: noMounts }, (t) => {
  const directory = fs.mkdtempSync(path.join(diskDirectory(), 'stp-mounts-'));
  t.teardown(() => {
    fs.rmSync(directory, { recursive: true });
  });
  for (const name of ['point', 'point/inner', 'disk', 'a b\tc', 'upper', 'work', 'lower'])
    fs.mkdirSync(path.join(directory, name));
  const [memory, disk] = [fileSystemOf(memoryDirectory()), fileSystemOf(directory)];
  const at = (name: string): string => path.join(directory, name);
  fs.symlinkSync(at('point'), at('link'));
  const tmpfs = { name: 'tmpfs', local: true, inMemory: true };

  t.same(inMounts(`mount -t tmpfs tmpfs ${at('point')}`, at('point')), tmpfs, 'memory over a disk');
  t.same(
    inMounts(`mount -t tmpfs tmpfs ${at('point')}`, at('link/not/there/yet')),
    tmpfs,
    'by a link, and before the directory is made',
  );
  t.same(
    inMounts(`mount --bind ${memoryDirectory()} ${at('point')}`, at('point')),
    memory,
    'a bind mount is what it shows',
  );
  t.same(
    inMounts(`mount -t tmpfs tmpfs ${at('point')}; mount --bind ${at('disk')} ${at('point')}`, at('point')),
    disk,
    'a disk over memory over a disk',
  );
  t.same(inMounts(`mount -t tmpfs tmpfs '${at('a b\tc')}'`, at('a b\tc')), tmpfs, 'a name with blanks');
  t.same(
    inMounts(
      `mount -t tmpfs tmpfs ${at('point/inner')}; mount --bind ${at('disk')} ${at('point')}; mkdir ${at('disk/inner')}`,
      at('point/inner'),
    ),
    disk,
    'what is hidden does not count',
  );
  t.same(inMounts(`mount -t proc proc ${at('point')}`, at('point')), { name: 'proc', local: false, inMemory: false });
  const layers = `lowerdir=${at('lower')},upperdir=${at('upper')},workdir=${at('work')}`;
  const overlay = `mount -t overlay overlay -o ${layers} ${at('point')}`;
  t.same(
    inMounts(
      `mount -t tmpfs tmpfs ${at('disk')}; mkdir ${at('disk/upper')} ${at('disk/work')}; ` +
        overlay.replaceAll(at('upper'), at('disk/upper')).replaceAll(at('work'), at('disk/work')),
      at('point'),
    ),
    { name: 'overlay', local: true, inMemory: false },
  );
  t.end();
});

void t.test(
  'where the list of mounts is hidden statfs tells, but for a disk that is on no device',
  { skip: noMounts },
  (t) => {
    const hide = 'mount -t tmpfs tmpfs /proc';
    t.same(inMounts(hide, memoryDirectory()), fileSystemOf(memoryDirectory()));
    t.same(inMounts(hide, diskDirectory()), fileSystemOf(diskDirectory()));
    t.end();
  },
);
