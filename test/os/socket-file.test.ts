import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import type { PathSockets, Stream, StreamEvents } from '../../src/os/network.js';
import { adoptStream, portablePathSockets } from '../../src/os/node-network.js';
import { systemRandom } from '../../src/os/random.js';
import { SocketFile } from '../../src/os/socket-file.js';
import { pathSockets, UnixSockets } from '../../src/os/unix-sockets.js';
import { calls, skip } from './loopback-sockets.js';

const folder = mkdtempSync(join(tmpdir(), 'zerohop-path-'));
after(() => rmSync(folder, { recursive: true }));
const random = systemRandom();
const nothing: StreamEvents = { data() {}, ended() {}, closed() {} };

test('a socket’s file is removed by its owner alone', () => {
  const path = join(folder, 'deep', 'er', 'a.sock');
  const [one, other] = [new SocketFile(path, random), new SocketFile(path, random)];
  one.makeFolder();
  assert.equal(statSync(join(folder, 'deep')).mode & 0o777, 0o700);
  for (const file of [one, other]) {
    writeFileSync(file.first, '');
    file.keepToOwner();
    assert.equal(file.isInPlace(), false);
    file.put();
    assert.equal(file.isInPlace(), true);
  }
  assert.equal(statSync(path).mode & 0o777, 0o600);
  one.remove();
  assert.ok(existsSync(path));
  other.remove();
  assert.deepEqual(readdirSync(join(folder, 'deep', 'er')), []);
  other.remove();
  const never = new SocketFile(path, random);
  writeFileSync(never.first, '');
  never.remove();
  assert.deepEqual(readdirSync(join(folder, 'deep', 'er')), []);
});

const ways: readonly (readonly [string, () => PathSockets, string | false])[] = [
  ['by system calls', () => pathSockets(new UnixSockets({ calls, random, adopt: adoptStream })), skip],
  ['by Node.js', () => portablePathSockets(random), false],
];

for (const [way, open, skipped] of ways) {
  describe(`sockets at paths, ${way}`, { skip: skipped }, () => {
    const sockets = skipped === false ? open() : portablePathSockets(random);
    const at = (name: string): string => join(folder, way.replaceAll(/\W/g, ''), name);

    test('two ends talk, and each hears when the other ends', async () => {
      const path = at('talk.sock');
      const heard: string[] = [];
      let wake: () => void = () => {};
      const ears = (who: string): StreamEvents => {
        const put = (text: string): void => {
          heard.push(`${who} ${text}`);
          wake();
        };
        return {
          data: (bytes) => put(Buffer.from(bytes).toString()),
          ended: () => put('ended'),
          closed: () => put('closed'),
        };
      };
      const until = async (text: string): Promise<void> => {
        while (!heard.includes(text)) await new Promise<void>((resolve) => (wake = resolve));
      };
      let far!: Stream;
      const listener = await sockets.listen(path, (stream) => {
        far = stream;
        return ears('far');
      });
      assert.equal(statSync(path).mode & 0o777, 0o600);
      assert.ok(listener.isInPlace());
      const near = await sockets.connect(path, ears('near'));
      near.write(Buffer.from('hello'));
      await until('far hello');
      far.write(Buffer.from('you'));
      await until('near you');
      far.end();
      await until('near ended');
      near.destroy();
      await until('far closed');
      listener.close();
      assert.equal(existsSync(path), false);
      listener.close();
    });

    test('the last to listen has the path, whatever was there, and another’s end does not take it', async () => {
      const path = at('both.sock');
      const first = await sockets.listen(path, () => nothing);
      const second = await sockets.listen(path, () => nothing);
      assert.deepEqual([first.isInPlace(), second.isInPlace()], [false, true]);
      first.close();
      assert.ok(existsSync(path));
      second.close();
      writeFileSync(path, 'left by a crash');
      const third = await sockets.listen(path, () => nothing);
      (await sockets.connect(path, nothing)).destroy();
      third.close();
    });

    test('what cannot be is an error, and nothing is left behind', async () => {
      writeFileSync(at('file'), '');
      const code = (code: RegExp) => (error: NodeJS.ErrnoException) => code.test(`${error.code} ${error.message}`);
      await assert.rejects(sockets.connect(at('nobody.sock'), nothing), code(/ENOENT/));
      await assert.rejects(sockets.connect(at('file'), nothing), code(/ENOENT|ECONNREFUSED|ENOTSOCK/));
      await assert.rejects(
        sockets.listen(at('file/a.sock'), () => nothing),
        code(/ENOTDIR|EEXIST/),
      );
      await assert.rejects(
        sockets.listen('/proc/zerohop/a/a.sock', () => nothing),
        code(/ENOENT/),
      );
      await assert.rejects(sockets.listen(at(`${'l'.repeat(200)}/a.sock`), () => nothing));
      assert.deepEqual(
        readdirSync(at('')).filter((name) => name.startsWith('.')),
        [],
      );
    });
  });
}
