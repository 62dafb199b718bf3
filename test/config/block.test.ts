import assert from 'node:assert/strict';
import { test } from 'node:test';
import { aboutUnsupported, directiveNames } from '../../src/config/block.js';
import { plugins } from '../../src/plugins/registry.js';
import { configOf, warningsOf } from './options.js';

const block = (text: string) => configOf(text).blocks[0];

test('zones of all keys, networks expanded', () => {
  const { zones, at } = block('\nA.test:5353 10.0.0.0/15, fd00::/8 {\nforward . 10.0.0.1\n}\n');
  assert.deepEqual(zones, [
    { zone: 'a.test.', port: 5353 },
    { zone: '0.10.in-addr.arpa.', port: 53 },
    { zone: '1.10.in-addr.arpa.', port: 53 },
    { zone: 'd.f.ip6.arpa.', port: 53 },
  ]);
  assert.deepEqual(at, { file: '/etc/Corefile', line: 2 });
});
test('a zone on two ports is two', () => assert.equal(block('. .:5353 {\nforward . 10.0.0.1\n}\n').zones.length, 2));
test('an empty key counts for nothing', () => {
  assert.deepEqual(block('"" a {\nforward . 10.0.0.1\n}\n').zones, [{ zone: 'a.', port: 53 }]);
  assert.throws(() => block('"" {\nforward . 10.0.0.1\n}\n'), /has no zone|expects a zone/u);
});
test('too many zones are refused', () => {
  const keys = Array.from({ length: 9 }, (_, index) => `${index}.0.0.0/1`).map(
    (key, index) => `${key}:${1000 + index}`,
  );
  assert.throws(() => block(`${keys.join(' ')} {\nforward . 10.0.0.1\n}\n`), /at most 1024 zones/u);
});
test('directives are named once, in their order', () => {
  assert.deepEqual(block('. {\nlog\ncache\nlog a.\nforward . 10.0.0.1\n}\n').directives, ['log', 'cache', 'forward']);
});
test('forwards and templates keep the order written', () => {
  const { forwards } = block('. {\nforward a. 10.0.0.1\nforward . 10.0.0.2\n}\n');
  assert.deepEqual(
    forwards.map(({ from }) => from),
    ['a.', '.'],
  );
});
test('directives that CoreDNS takes twice and uses once are warned of', () => {
  const text = '. {\nforward . 10.0.0.1\nbufsize 512\nbufsize 600\nhealth :1\nhealth :2\n}\n';
  assert.equal(block(text).bufsizeBytes, 512);
  assert.equal(configOf(text).health?.addresses[0].port, 2);
  assert.deepEqual(warningsOf(text), [
    '4: bufsize: it is already on line 3, and only the first one counts; remove the other.',
    '6: health: it is already on line 5, and only the last one counts; remove the other.',
  ]);
});
test('a block that can answer nothing is warned of, one with a policy is not', () => {
  assert.match(warningsOf('. {\nerrors\n}\n')[0], /^1: the server block has no forward, template or hosts/u);
  assert.deepEqual(warningsOf('. {\naaaa nodata\n}\n'), []);
});
test('prometheus counts for the block that has it', () => {
  const { blocks } = configOf('a {\nforward . 10.0.0.1\nprometheus\n}\nb {\nforward . 10.0.0.1\n}\n');
  assert.deepEqual(
    blocks.map(({ prometheus }) => prometheus),
    [true, false],
  );
});

const names = directiveNames(plugins);

test('every directive of the standard node-local Corefile is supported', () => {
  for (const name of ['bind', 'cache', 'errors', 'forward', 'health', 'loop', 'prometheus', 'reload', 'template']) {
    assert.ok(names.includes(name), name);
  }
  assert.ok(!names.includes('kubernetes'));
  assert.ok(!names.includes('constructor'));
});
test('a known one is told from an unknown one', () => {
  assert.match(aboutUnsupported('etcd', names), /"etcd" is known but not supported/u);
  assert.match(aboutUnsupported('hsots', names), /unknown directive "hsots"; did you mean "hosts"\?/u);
  assert.match(aboutUnsupported('constructor', names), /unknown directive/u);
  assert.match(aboutUnsupported('qqqqqqqq', names), new RegExp(names.join(', '), 'u'));
});
test('a word that looks like a zone points at the block above', () => {
  assert.match(aboutUnsupported('example.org:53', names), /the \} of the block above is missing/u);
});
