import assert from 'node:assert/strict';
import { existsSync, fstatSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { boundPort, openSocket } from '../../src/os/bound-socket.js';
import type { Greeting, Stream, StreamEvents } from '../../src/os/network.js';
import { adoptStream } from '../../src/os/node-network.js';
import { systemRandom } from '../../src/os/random.js';
import { UnixSockets } from '../../src/os/unix-sockets.js';
import { calls, skip } from './loopback-sockets.js';

describe('UnixSockets', { skip }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'zerohop-unix-'));
  after(() => rmSync(folder, { recursive: true }));
  const sockets = new UnixSockets({ calls, random: systemRandom(), adopt: adoptStream });
  const noGreeting = () => ({ bytes: new Uint8Array(0), descriptors: [] });
  const nothing: StreamEvents = { data() {}, ended() {}, closed() {} };

  /** What a stream hears, as texts; `next` waits for another one. */
  function ears() {
    const heard: string[] = [];
    let wake: () => void = () => {};
    const put = (text: string): void => {
      heard.push(text);
      wake();
    };
    const events: StreamEvents = {
      data: (bytes) => put(Buffer.from(bytes).toString()),
      ended: () => put('ended'),
      closed: () => put('closed'),
    };
    async function next(): Promise<string> {
      while (heard.length === 0) await new Promise<void>((resolve) => (wake = resolve));
      return heard.shift() as string;
    }
    return { events, next };
  }

  test('two ends talk, and each hears when the other ends', async () => {
    const path = join(folder, 'talk', 'here.sock');
    const [near, far] = [ears(), ears()];
    let accepted!: Stream;
    const { listener } = sockets.listen(
      path,
      (stream) => {
        accepted = stream;
        return far.events;
      },
      noGreeting,
    );
    assert.equal(statSync(path).mode & 0o777, 0o600);
    const { stream } = sockets.connect(path, near.events);
    stream!.write(Buffer.from('hello'));
    assert.equal(await far.next(), 'hello');
    accepted.write(Buffer.from('you'));
    assert.equal(await near.next(), 'you');
    accepted.end();
    assert.equal(await near.next(), 'ended');
    stream!.end();
    assert.equal(await near.next(), 'closed');
    listener!.close();
    assert.equal(existsSync(path), false);
  });

  test('a greeting comes with copies of descriptors, for who asks for it alone and for everybody else', async () => {
    const path = join(folder, 'greeting.sock');
    const { fd, local } = openSocket(calls, {
      at: { address: '127.0.0.1', port: 0 },
      ipv6Only: 'no',
      sharedWith: 'nobody',
    });
    const greeting = () => ({ bytes: Buffer.from('greetings'), descriptors: [fd, fd] });
    const { listener } = sockets.listen(path, () => nothing, greeting);
    const { bytes, descriptors } = await new Promise<Greeting>((resolve) => sockets.fetch(path, resolve));
    assert.equal(Buffer.from(bytes).toString(), 'greetings');
    assert.equal(descriptors.length, 2);
    for (const copy of descriptors) {
      assert.equal(fstatSync(copy).ino, fstatSync(fd).ino);
      assert.equal(boundPort(calls, copy), local.port);
      calls.close(copy);
    }
    const { events, next } = ears();
    const { stream } = sockets.connect(path, events);
    assert.equal(await next(), 'greetings');
    stream!.destroy();
    sockets.fetch(path, () => assert.fail('it was given up'))();
    sockets.fetch(join(folder, 'nobody.sock'), () => assert.fail('nobody is there'))();
    listener!.close();
    calls.close(fd);
  });

  test('nobody is where nobody listens, or nobody listens any more', () => {
    const path = join(folder, 'nobody.sock');
    assert.deepEqual(sockets.connect(path, nothing), { stream: null, why: null });
    const { listener } = sockets.listen(path, () => nothing, noGreeting);
    const second = sockets.listen(path, () => nothing, noGreeting);
    assert.deepEqual([listener!.isInPlace(), second.listener!.isInPlace()], [false, true]);
    listener!.close();
    assert.ok(existsSync(path), 'it is the other one’s');
    second.listener!.close();
    assert.deepEqual(sockets.connect(path, nothing), { stream: null, why: null });
  });

  test('what cannot be used is said, and nothing is left behind', () => {
    writeFileSync(join(folder, 'file'), '');
    assert.match(sockets.listen(join(folder, 'file', 'a.sock'), () => nothing, noGreeting).why ?? '', /ENOTDIR|EEXIST/);
    assert.match(sockets.connect(join(folder, 'file', 'a.sock'), nothing).why ?? '', /ENOTDIR/);
    assert.match(sockets.listen('/proc/zerohop/a/a.sock', () => nothing, noGreeting).why ?? '', /ENOENT/);
    const long = join(folder, 'l'.repeat(200), 'a.sock');
    assert.notEqual(sockets.listen(long, () => nothing, noGreeting).why, null);
    assert.deepEqual(
      readdirSync(folder).filter((name) => name.startsWith('.')),
      [],
    );
  });

  test('processes of other users are neither accepted nor talked to', () => {
    const path = join(folder, 'strangers.sock');
    const asStranger = {
      ...calls,
      option(fd: number, level: number, option: number, value: Int32Array): number {
        const result = calls.option(fd, level, option, value);
        value[1] += 1;
        return result;
      },
    };
    const wary = new UnixSockets({ calls: asStranger, random: systemRandom(), adopt: () => assert.fail('adopted') });
    const { listener } = sockets.listen(path, () => nothing, noGreeting);
    assert.deepEqual(wary.connect(path, nothing), { stream: null, why: 'owned by another user' });
    listener!.close();
  });
});
