import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BlockConfig } from '../../../src/config/config.js';
import { Pattern } from '../../../src/config/pattern.js';
import { settingsOf } from '../../../src/config/plugins.js';
import { template } from '../../../src/plugins/template/plugin.js';
import { blockOf, configOf, warningsOf } from '../../config/options.js';

const templatesIn = (block: BlockConfig) => settingsOf(block, template) ?? [];
const templates = (...lines: string[]) => templatesIn(blockOf('forward . 10.0.0.1', ...lines));
const aaaa = (head: string, ...lines: string[]) => blockOf('forward . 10.0.0.1', `${head} {`, ...lines, '}');

test('everything a template can say', () => {
  const lines = [
    'match "^(?P<a>[a-z]+)[.]" "x$"',
    'answer "{{ .Name }} 60 IN A 1.2.3.4" "{{ .Name }} 60 IN A 1.2.3.5"',
    'additional "a.test. 60 IN A 1.2.3.4"',
    'authority "test. 60 IN NS a.test."',
    'rcode REFUSED',
    'ederror 21 "not supported"',
    'fallthrough a.test',
  ];
  assert.deepEqual(templates('template in a Test 10.0.0.0/8 {', ...lines, '}'), [
    {
      at: { file: '/etc/Corefile', line: 3 },
      class: 1,
      type: 1,
      zones: ['test.', '10.in-addr.arpa.'],
      matches: [new Pattern('^(?P<a>[a-z]+)[.]'), new Pattern('x$')],
      answer: ['{{ .Name }} 60 IN A 1.2.3.4', '{{ .Name }} 60 IN A 1.2.3.5'],
      additional: ['a.test. 60 IN A 1.2.3.4'],
      authority: ['test. 60 IN NS a.test.'],
      rcode: 5,
      extendedError: { code: 21, text: 'not supported' },
      fallthrough: ['a.test.'],
    },
  ]);
});
test('zones default to those of the block, fallthrough to every zone', () => {
  const corefile = 'a.test b.test {\ntemplate ANY ANY {\nrcode REFUSED\nfallthrough\n}\n}\n';
  const [one] = templatesIn(configOf(corefile).blocks[0]);
  assert.deepEqual([one.class, one.type], [255, 255]);
  assert.deepEqual(one.zones, ['a.test.', 'b.test.']);
  assert.deepEqual(one.fallthrough, []);
});
test('the AAAA policy in a template is a policy and no template', () => {
  for (const [head, lines, policy] of [
    ['template ANY AAAA', ['rcode NXDOMAIN'], 'nxdomain'],
    ['template IN AAAA', ['rcode NOERROR'], 'nodata'],
    ['template IN AAAA .', ['match .*', 'rcode NXDOMAIN'], 'nxdomain'],
    ['template any aaaa', ['rcode NXDOMAIN', 'fallthrough'], 'nxdomain'],
  ] as const) {
    const block = aaaa(head, ...lines);
    assert.deepEqual([block.aaaa, templatesIn(block)], [policy, []], head);
    assert.deepEqual(block.aaaaAt, { file: '/etc/Corefile', line: 3 });
  }
});
test('a template that says nothing means NOERROR without records, with a block or without', () => {
  for (const lines of [
    ['template IN A {', 'match ^a', 'fallthrough', '}'],
    ['template IN A {', 'fallthrough', '}'],
    ['template IN A {', 'additional "a.test. 60 IN A 1.2.3.4"', '}'],
    ['template IN A {', 'ederror 21', '}'],
    ['template IN A'],
    ['template IN AAAA a.test'],
  ]) {
    const [template, ...more] = templates(...lines);
    assert.deepEqual([template.rcode, template.answer, template.authority, more], [0, [], [], []], lines.join(' '));
  }
  for (const lines of [['template IN AAAA'], ['template ANY AAAA {', 'match .*', '}']]) {
    const block = blockOf('forward . 10.0.0.1', ...lines);
    assert.deepEqual([block.aaaa, templatesIn(block)], ['nodata', []], lines.join(' '));
  }
});
test('a template that says anything else stays one', () => {
  for (const [head, ...lines] of [
    ['template ANY AAAA', 'rcode REFUSED'],
    ['template ANY ANY', 'rcode NXDOMAIN'],
    ['template CH AAAA', 'rcode NXDOMAIN'],
    ['template ANY A', 'rcode NXDOMAIN'],
    ['template ANY AAAA a.test', 'rcode NXDOMAIN'],
    ['template ANY AAAA', 'match ^a', 'rcode NXDOMAIN'],
    ['template ANY AAAA', 'rcode NXDOMAIN', 'ederror 15'],
    ['template ANY AAAA', 'rcode NXDOMAIN', 'authority "test. 60 IN SOA a. b. 1 2 3 4 5"'],
    ['template ANY AAAA', 'answer "{{ .Name }} 60 IN AAAA ::1"'],
  ]) {
    const block = aaaa(head, ...lines);
    assert.deepEqual([block.aaaa, templatesIn(block).length], [null, 1], `${head} ${lines}`);
  }
});
test('a template for AAAA above keeps the policy from jumping the queue', () => {
  const special = ['template IN AAAA {', 'match ^six', 'answer "{{ .Name }} 60 IN AAAA ::1"', 'fallthrough', '}'];
  const policy = ['template ANY AAAA {', 'rcode NXDOMAIN', '}'];
  const first = blockOf(...special, ...policy);
  assert.deepEqual([first.aaaa, templatesIn(first).length], [null, 2]);
  const last = blockOf(...policy, ...special);
  assert.deepEqual([last.aaaa, templatesIn(last).length], ['nxdomain', 1]);
  const others = blockOf('template IN A {', 'rcode REFUSED', '}', ...policy);
  assert.deepEqual([others.aaaa, templatesIn(others).length], ['nxdomain', 1]);
});
test('a policy template that covers the zones from above counts for them', () => {
  const text = 'a.example.org b.example.org {\ntemplate ANY AAAA example.org {\nrcode NXDOMAIN\n}\n}\n';
  assert.equal(configOf(text).blocks[0].aaaa, 'nxdomain');
});
test('upstream is an old word without meaning', () => {
  const text = '. {\ntemplate IN A {\nanswer "a. 60 IN A 1.2.3.4"\nupstream\n}\n}\n';
  assert.match(warningsOf(text)[0], /^4: template upstream: has no effect/u);
});
