import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clusterZones, isReverseZone, whyNoCut } from '../../src/config/nxdomain-cut.js';
import { blockOf, configOf, warningsOf } from './options.js';

const block = (zone: string, to: string, lines = '') => `${zone} {\n${lines}cache\nforward . ${to}\n}\n`;
const domainsOf = (...blocks: string[]) => [...clusterZones(configOf(blocks.join('')))];

test('the cluster domain is cluster.local where a block serves it', () => {
  assert.deepEqual(domainsOf(block('cluster.local', '10.0.0.1'), block('.', '10.0.0.2')), ['cluster.local.']);
  const other = block('corp.test', '10.0.0.1');
  const reverse = block('in-addr.arpa', '10.0.0.1');
  assert.deepEqual(domainsOf(block('cluster.local', '10.0.0.1'), other, reverse), ['cluster.local.']);
});

test('elsewhere it is the zone that goes where the reverse zone goes, if the root goes elsewhere', () => {
  const reverse = block('in-addr.arpa', '10.0.0.1');
  const root = block('.', '10.0.0.2');
  assert.deepEqual(domainsOf(block('k8s.test', '10.0.0.1'), reverse, root), ['k8s.test.']);
  assert.deepEqual(domainsOf(block('k8s.test', '10.0.0.1'), block('corp.test', '10.0.0.3'), reverse, root), [
    'k8s.test.',
  ]);
  assert.deepEqual(domainsOf(block('k8s.test', '10.0.0.1'), reverse, block('.', '10.0.0.1')), []);
  assert.deepEqual(domainsOf(block('k8s.test', '10.0.0.1'), root), []);
  assert.deepEqual(domainsOf(root), []);
  assert.deepEqual(domainsOf(block('ip6.arpa', '10.0.0.1'), reverse, root), []);
});

test('reverse zones', () => {
  assert.deepEqual(['10.in-addr.arpa.', 'ip6.arpa.', 'arpa.', 'cluster.local.'].map(isReverseZone), [
    true,
    true,
    false,
    false,
  ]);
});

test('nxdomain_cut is on or off, and unsaid by default', () => {
  const said = (...lines: string[]) => blockOf('forward . 10.0.0.1', 'cache', ...lines).nxdomainCut;
  assert.deepEqual([said(), said('nxdomain_cut on'), said('nxdomain_cut off')], [null, true, false]);
  assert.throws(() => said('nxdomain_cut'), /nxdomain_cut: expects on or off, but has none/u);
  assert.throws(() => said('nxdomain_cut yes'), /nxdomain_cut: the setting must be on or off, not "yes"/u);
  assert.throws(() => said('nxdomain_cut on', 'nxdomain_cut off'), /allowed once/u);
  assert.throws(() => said('nxdomain_cut on {', '}'), /takes no block/u);
});

test('directives that change names or make answers leave no cuts, and so does whatever is not known to leave them', () => {
  const why = (...lines: string[]) => whyNoCut(blockOf('cache', 'forward . 10.0.0.1', ...lines));
  const without = [
    'errors',
    'log',
    'loop',
    'prometheus',
    'loadbalance',
    'minimal',
    'nsid',
    'header {',
    'aaaa nxdomain',
  ];
  for (const line of without)
    assert.equal(why(...(line.endsWith('{') ? [line, 'response set ra', '}'] : [line])), null, line);
  const template = ['template ANY A {', 'rcode NXDOMAIN', '}'];
  for (const lines of [
    ['rewrite name a.test b.test'],
    ['hosts {', '192.0.2.1 a.test', '}'],
    ['acl {', 'block', '}'],
    ['dns64'],
    ['any'],
    ['local'],
    ['whoami'],
    template,
  ]) {
    assert.match(why(...lines) ?? '', /another directive/u, lines[0]);
  }
  assert.equal(why('template ANY AAAA {', 'rcode NXDOMAIN', '}'), null, 'it is the policy for AAAA');
  assert.equal(why('template ANY HINFO . {', 'rcode NXDOMAIN', '}'), null, 'cuts answer no HINFO');
});

test('the one forward must be responsible for all names and all denials', () => {
  assert.match(whyNoCut(blockOf('forward . 10.0.0.1')) ?? '', /no cache/u);
  assert.match(whyNoCut(blockOf('cache')) ?? '', /exactly one forward/u);
  assert.match(
    whyNoCut(blockOf('cache', 'forward . 10.0.0.1', 'forward a.test 10.0.0.2')) ?? '',
    /exactly one forward/u,
  );
  assert.match(whyNoCut(blockOf('cache', 'forward a.test 10.0.0.2')) ?? '', /leaves some names/u);
  assert.match(whyNoCut(blockOf('cache', 'forward . 10.0.0.1 {', 'except a.test', '}')) ?? '', /leaves some names/u);
});

test('a cut without effect is a warning', () => {
  const [warning] = warningsOf('. {\nforward . 10.0.0.1\nnxdomain_cut on\n}\n');
  assert.equal(warning, '3: nxdomain_cut: it has no effect, because the server block has no cache; remove it.');
  assert.deepEqual(warningsOf('. {\ncache\nforward . 10.0.0.1\nnxdomain_cut on\n}\n'), []);
});
