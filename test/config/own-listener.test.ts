import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ownListener, rememberedAddresses } from '../../src/config/own-listener.js';
import { hostAddressesMs } from '../../src/limits.js';

const hostAddresses = (): readonly string[] => ['127.0.0.1', '192.0.2.10', 'fd00::10'];

function listener(listens: readonly string[], to: string, port = 53): string | null {
  return ownListener(
    { address: to, port },
    { listening: listens.map((address) => ({ address, port: 53 })), hostAddresses },
  );
}

const own = (listens: readonly string[], to: string, port?: number): boolean => listener(listens, to, port) !== null;

test('an address that is listened on, with its port', () => {
  assert.equal(own(['169.254.20.10', 'fd00::a'], '169.254.20.10'), true);
  assert.equal(own(['169.254.20.10', 'fd00::a'], 'fd00::a'), true);
  assert.equal(own(['169.254.20.10'], '169.254.20.10', 5353), false);
  assert.equal(own(['169.254.20.10'], '169.254.20.11'), false);
});

test('another address of this host is ours only where all addresses are listened on', () => {
  assert.equal(own(['169.254.20.10'], '192.0.2.10'), false);
  assert.equal(own(['169.254.20.10'], '127.0.0.1'), false);
  for (const all of ['::', '0.0.0.0']) {
    for (const address of ['192.0.2.10', '127.0.0.1', '127.0.0.53', '0.0.0.0'])
      assert.equal(own([all], address), true, address);
    assert.equal(own([all], '192.0.2.11'), false);
  }
  assert.equal(own(['::'], 'fd00::10'), true);
  assert.equal(own(['::'], '::1'), true);
  assert.equal(own(['0.0.0.0'], 'fd00::10'), false);
});

test('the unspecified address as a destination is this host', () => {
  assert.equal(listener(['127.0.0.1'], '0.0.0.0'), '127.0.0.1');
  assert.equal(listener(['::1'], '::'), '::1');
  assert.equal(own(['169.254.20.10'], '0.0.0.0'), false);
});

test('of several the listener is the one on the address itself, then the one of its family', () => {
  assert.equal(listener(['::', '0.0.0.0', '127.0.0.1'], '127.0.0.1'), '127.0.0.1');
  assert.equal(listener(['::', '0.0.0.0', '127.0.0.1'], '127.0.0.2'), '0.0.0.0');
  assert.equal(listener(['::', '127.0.0.1'], '127.0.0.2'), '::');
  assert.equal(listener(['::', '0.0.0.0'], 'fd00::10'), '::');
  assert.equal(listener(['::', '0.0.0.0'], '::'), '::');
});

test('the addresses of the host are read once in a while', () => {
  let nowMs = 0;
  let reads = 0;
  const addresses = rememberedAddresses(
    () => [`${++reads}`],
    () => nowMs,
  );
  assert.deepEqual([addresses(), addresses(), reads], [['1'], ['1'], 1]);
  nowMs = hostAddressesMs;
  assert.deepEqual([addresses(), reads], [['2'], 2]);
});
