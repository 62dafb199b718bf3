import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newSetupErrors } from '../../src/observe/setup-errors.js';

test('every kind starts at 0 and is counted by itself; what was read stays as it was', () => {
  const errors = newSetupErrors();
  const before = errors.totals();
  assert.deepEqual(before, { configmap: 0, iptables: 0, iptables_lock: 0, interface_add: 0, interface_check: 0 });
  errors.count('configmap');
  errors.count('configmap');
  errors.count('iptables_lock');
  assert.deepEqual(errors.totals(), { ...before, configmap: 2, iptables_lock: 1 });
  assert.equal(before.configmap, 0);
});
