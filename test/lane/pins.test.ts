/** What is pinned and removed, in a folder of a real bpf file system. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { layoutVersion } from '../../src/lane/layout.js';
import { Pins, removeAllPins, removeOwnPins } from '../../src/lane/pins.js';
import { Bpf } from '../../src/os/bpf.js';
import { calls } from '../os/loopback-sockets.js';
import { needs, output } from '../real/commands.js';
import { laneIsMissing } from './possible.js';

describe('pins', { skip: laneIsMissing || needs('root', 'mount', 'umount') }, () => {
  const bpf = laneIsMissing === false ? new Bpf(calls) : (null as never);
  let mounted = '';
  let folder = '';

  before(async () => {
    mounted = mkdtempSync(join(tmpdir(), 'pins-'));
    await output(['mount', '-t', 'bpf', 'bpf', mounted]);
    folder = `${mounted}/zerohop`;
  });
  after(async () => {
    await output(['umount', mounted]);
    rmdirSync(mounted);
  });

  function newMap(): number {
    const form = { name: 'test', type: 'array', keyBytes: 4, valueBytes: 8, entries: 1, isShared: false } as const;
    return bpf.createMap(form);
  }

  /** A pinned map is the same one if a value is. */
  function firstByteOf(fd: number): number {
    const value = new Uint8Array(8);
    assert.equal(bpf.lookUp(fd, new Uint8Array(4), value), 0);
    return value[0];
  }

  test('a map is found under its name, and another takes its place', () => {
    const pins = new Pins(bpf, folder, '1');
    assert.equal(pins.prepare(), null);
    assert.equal(pins.openMap('slots'), -2);
    for (const number of [1, 2]) {
      const map = newMap();
      bpf.update(map, new Uint8Array(4), Uint8Array.of(number, 0, 0, 0, 0, 0, 0, 0));
      assert.equal(pins.pinMap('slots', map), 0);
      calls.close(map);
      const found = pins.openMap('slots');
      assert.equal(firstByteOf(found), number);
      calls.close(found);
    }
    assert.deepEqual(readdirSync(`${folder}/1/${layoutVersion}`), ['slots']);
    pins.removeOwn();
    assert.equal(existsSync(folder), false);
  });

  test('a pin half made by a process that died is no hindrance', () => {
    const pins = new Pins(bpf, folder, '1');
    pins.prepare();
    const map = newMap();
    assert.equal(bpf.pin(map, `${folder}/1/${layoutVersion}/next-index`), 0);
    assert.equal(pins.pinMap('index', map), 0);
    assert.deepEqual(readdirSync(`${folder}/1/${layoutVersion}`), ['index']);
    calls.close(map);
    assert.equal(removeOwnPins(folder, '1'), 1);
  });

  test('links have the numbers of their interfaces; other layouts go, other namespaces stay until they are forgotten', () => {
    const pins = new Pins(bpf, folder, '1');
    const other = new Pins(bpf, folder, '2');
    for (const each of [pins, other]) each.prepare();
    const map = newMap();
    assert.equal(pins.pinLink(12, map), 0);
    assert.deepEqual(pins.links(), [12]);
    mkdirSync(`${folder}/1/layout-0`);
    assert.equal(bpf.pin(map, `${folder}/1/layout-0/slots`), 0);
    pins.removeOtherLayouts();
    assert.deepEqual(readdirSync(`${folder}/1`).sort(), [layoutVersion, 'links'].sort());
    assert.equal(other.pinMap('config', map), 0);
    const others = [...pins.others()];
    assert.equal(others.length, 1);
    calls.close(others[0].config);
    others[0].remove();
    assert.deepEqual(readdirSync(folder), ['1']);
    pins.removeLink(12);
    assert.deepEqual(pins.links(), []);
    calls.close(map);
    pins.removeOwn();
  });

  test('all of it is removed at once, and counted; nothing is left to be removed', () => {
    const map = newMap();
    for (const namespace of ['1', '2']) {
      const pins = new Pins(bpf, folder, namespace);
      pins.prepare();
      pins.pinMap('marks', map);
      pins.pinLink(3, map);
    }
    calls.close(map);
    assert.equal(removeAllPins(folder), 4);
    assert.equal(existsSync(folder), false);
    assert.equal(removeAllPins(folder), 0);
  });
});

test('where the folder cannot be made, the reason is its code', () => {
  assert.equal(new Pins(null as never, '/proc/zerohop', '1').prepare(), 'ENOENT');
});
