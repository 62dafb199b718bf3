import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AdviceDeps } from '../../../src/config/advice/advised.js';
import { adviceOf, shortly } from './advice-of.js';

const rest = 'errors\nreload\ncache\nforward . 10.0.0.1\n';
const codes = (text: string, world: Partial<AdviceDeps> = {}) => shortly(adviceOf(text, world));
const here = 'bind 169.254.20.10\nready :8181\n';

test('a server block on all addresses that nobody asked for', () => {
  assert.deepEqual(codes(`. {\n${rest}ready :8181\n}\na. {\n${rest}}\n`), ['1 bind-missing']);
  assert.deepEqual(codes(`. {\nbind 0.0.0.0\nready :8181\n${rest}}\n`), []);
  const [advice] = adviceOf(`. {\n${rest}ready :8181\n}\n`);
  assert.equal(advice.remedy, 'add "bind 169.254.20.10 10.96.0.10"');
});

test('zones that one address hides', () => {
  const stub = `a. {\nbind 169.254.20.10\n${rest}}\n`;
  const hidden = adviceOf(`. {\nbind 0.0.0.0\nready :8181\n${rest}}\n${stub}`);
  assert.deepEqual(shortly(hidden), ['9 zones-hidden']);
  assert.match(hidden[0].message, /^queries to 169\.254\.20\.10:53 .* so \. of line 1 is not served there$/u);
  assert.deepEqual(codes(`. {\n${here}${rest}}\n${stub}`), []);
  assert.deepEqual(codes(`. {\nbind 0.0.0.0 169.254.20.10\nready :8181\n${rest}}\n${stub}`), []);
  assert.deepEqual(codes(`. {\nbind 0.0.0.0\nready :8181\n${rest}}\na.:5353 {\nbind 10.0.0.1\n${rest}}\n`), []);
});

test('nobody for all other names', () => {
  assert.deepEqual(codes(`a. {\n${here}${rest}}\nb. {\nbind 169.254.20.10\n${rest}}\n`), ['1 root-missing']);
});

test('health on an address that others may have', () => {
  const text = (bind: string, at: string) => `. {\nbind ${bind}\nhealth ${at}\n${rest}}\n`;
  assert.deepEqual(codes(text('169.254.20.10', ':8080')), ['3 health-on-all-addresses']);
  assert.deepEqual(codes(text('169.254.20.10', ':9254')), []);
  assert.deepEqual(codes(text('169.254.20.10', '169.254.20.10:8080')), []);
  assert.deepEqual(codes(text('0.0.0.0', ':8080')), []);
  const [advice] = adviceOf(text('fd00::10', ':8080'));
  assert.equal(advice.remedy, 'write "health [fd00::10]:8080"');
});

test('the port of -metrics-listen-address', () => {
  const text = `. {\nbind 169.254.20.10\nhealth 169.254.20.10:9353\n${rest}}\n`;
  assert.deepEqual(codes(text), ['3 metrics-port-twice']);
  assert.deepEqual(codes(text, { metricsAddress: null }), []);
  assert.deepEqual(codes(text, { metricsAddress: { address: '127.0.0.1', port: 9353 } }), []);
});

test('what tells that something is wrong', () => {
  const block = (lines: string) => `. {\nbind 169.254.20.10\ncache\nforward . 10.0.0.1\n${lines}\n}\n`;
  assert.deepEqual(codes(block('reload\nready :8181')), ['1 errors-missing']);
  assert.deepEqual(codes(block('errors\nready :8181')), ['1 reload-missing']);
  assert.deepEqual(codes(block('errors\nready :8181'), { reloadWithSignal: true }), []);
  assert.deepEqual(codes(block('errors\nreload')), ['1 health-missing']);
});
