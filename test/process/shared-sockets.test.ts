import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemRandom } from '../../src/os/random.js';
import { sharedNode } from '../../src/process/shared-sockets.js';
import { calls, skip } from '../os/loopback-sockets.js';

const say = (): void => {};
const wishes = {
  random: systemRandom(),
  log: { debug: say, info: say, warn: say, error: say },
  path: '/run/zerohop/handover.sock',
  version: '1',
};

test('without the system calls nothing is shared', () => {
  const node = sharedNode({ calls: null, why: 'no koffi' }, wishes);
  assert.deepEqual(node, { calls: null, why: 'no koffi' });
});

test('without a path ports are opened so, but there is nobody to meet', { skip }, () => {
  const node = sharedNode({ calls }, { ...wishes, path: null });
  assert.equal(node.succession, undefined);
  const fd = node.bindHttp?.({ address: '127.0.0.1', port: 0 }) as number;
  assert.equal(node.calls === null ? 0 : Object.keys(node.groups.layout()).length, 1);
  calls.close(fd);
  assert.notEqual(sharedNode({ calls }, wishes).succession, undefined);
});
