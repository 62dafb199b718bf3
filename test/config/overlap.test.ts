import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clientKindsMax, listenersMax } from '../../src/limits.js';
import { configOf } from './options.js';

const two = (first: string, second: string, keys = ['.', '.']) =>
  configOf(`${keys[0]} {\n${first}\nforward . 10.9.9.9\n}\n${keys[1]} {\n${second}\nforward . 10.9.9.9\n}\n`);

test('one zone on one address and port is served once', () => {
  for (const [first, second] of [
    ['', ''],
    ['bind 10.0.0.1', 'bind 10.0.0.2 10.0.0.1'],
    ['bind 10.0.0.1', ''],
    ['bind ::', 'bind fd00::1'],
    ['bind FD00::1', 'bind fd00:0::1'],
    ['bind 0.0.0.0', 'bind 10.0.0.1'],
  ]) {
    assert.throws(() => two(first, second), /^ConfigError: \/etc\/Corefile:5: the zone \. on port 53 .* on line 1/u);
  }
});
test('other addresses, other ports, other zones are other things', () => {
  assert.equal(two('bind 10.0.0.1', 'bind 10.0.0.2').blocks.length, 2);
  assert.equal(two('bind 0.0.0.0', 'bind fd00::1').blocks.length, 2);
  assert.equal(two('', '', ['.', '.:5353']).blocks.length, 2);
  assert.equal(two('', '', ['a.', 'b.']).blocks.length, 2);
});
test('a network that contains a reverse zone of another block overlaps with it', () => {
  assert.throws(() => two('', '', ['10.0.0.0/15', '1.10.in-addr.arpa']), /already served/u);
});
test('the place of a block in another file is named with its file', () => {
  const text = 'import other\n. {\nforward . 10.0.0.1\n}\n';
  assert.throws(
    () => configOf(text, { '/etc/other': '. {\nforward . 10.0.0.1\n}\n' }),
    /server block on \/etc\/other:1;/u,
  );
});
test('HTTP servers need a port each', () => {
  assert.throws(
    () => two('health :8080', 'ready 10.0.0.1:8080', ['a.', 'b.']),
    /ready: 10\.0\.0\.1:8080 is used by health/u,
  );
  assert.equal(two('health 10.0.0.1:8080', 'ready 10.0.0.2:8080', ['a.', 'b.']).blocks.length, 2);
  assert.equal(two('health :0', 'ready :0', ['a.', 'b.']).blocks.length, 2);
});
test('there is a bound on listeners', () => {
  const addresses = Array.from({ length: listenersMax + 1 }, (_, index) => `10.1.${index >> 8}.${index & 255}`);
  assert.throws(() => two(`bind ${addresses.join(' ')}`, 'bind 127.0.0.1'), /more than 256 addresses and ports/u);
});

test('an HTTP server has no port on which DNS is answered over TCP', () => {
  const dns = (bind: string, http: string) => two(bind, http, ['a.:5353', 'b.']);
  assert.throws(
    () => dns('bind 10.0.0.1', 'ready :5353'),
    /^ConfigError: \/etc\/Corefile:6: ready: \[::\]:5353 is the DNS port of the server block on line 1; /u,
  );
  assert.throws(() => dns('', 'prometheus 127.0.0.1:5353'), /prometheus: 127\.0\.0\.1:5353 is the DNS port/u);
  assert.equal(dns('bind 10.0.0.1', 'health 10.0.0.2:5353').blocks.length, 2);
});

test('an address that another one means as well is not opened twice', () => {
  const health = (first: string, second: string) =>
    two(`health ${first}`, `health ${second}`, ['a.', 'b.']).health?.addresses.map(({ address }) => address);
  assert.deepEqual(health(':8080', '127.0.0.1:8080'), ['::']);
  assert.deepEqual(health('[::1]:8080', ':8080'), ['::']);
  assert.deepEqual(health('0.0.0.0:8080', '127.0.0.1:8080'), ['0.0.0.0']);
  assert.deepEqual(health('0.0.0.0:8080', '[::1]:8080'), ['0.0.0.0', '::1']);
  assert.deepEqual(health(':8080', '127.0.0.1:8081'), ['::', '127.0.0.1']);
  assert.deepEqual(health('localhost:8080', '127.0.0.1:8080'), ['127.0.0.1']);
  const twice = two('prometheus :9253', 'prometheus 127.0.0.1:9253', ['a.', 'b.']);
  assert.deepEqual(twice.metrics, [{ address: '::', port: 9253 }]);
  assert.equal(two('pprof :0', 'pprof 127.0.0.1:0', ['a.', 'b.']).pprof.length, 2, 'these get two ports');
});

test('rules may tell so many kinds of clients apart, where a block asks other names', () => {
  const acls = (count: number) =>
    Array.from({ length: count }, (_, at) => `acl z${at}.test {\nblock net 10.${at}.0.0/16\n}`).join('\n');
  const block = (lines: string) => `a.test {\n${lines}\nforward . 10.9.9.9\n}\n`;
  const other = (lines: string) => `. {\n${lines}\nforward . 10.9.9.9\n}\n`;
  const rewriting = 'rewrite name a.test b.test';
  assert.equal(configOf(block(acls(clientKindsMax - 1)) + other(rewriting)).blocks.length, 2);
  assert.equal(configOf(block(acls(clientKindsMax)) + other('cache')).blocks.length, 2, 'no other names are asked');
  assert.throws(
    () => configOf(block(acls(clientKindsMax)) + other(rewriting)),
    /^ConfigError: \/etc\/Corefile:2: acl: the rules on \[::\]:53 distinguish 65 groups of clients; .* most 64 are allowed; put/u,
  );
});
