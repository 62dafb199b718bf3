import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { directUpstreamOf } from '../../src/config/direct.js';
import { parseConfig } from '../../src/config/load.js';
import { askAgainAfterMsMin } from '../../src/limits.js';
import { plugins } from '../../src/plugins/registry.js';
import { repositoryPath } from '../corpus/repository.js';
import { blockOf, testOptions } from './options.js';

const forward = ['forward . 10.96.0.10 {', 'force_tcp', '}'];
const of = (...lines: readonly string[]) => directUpstreamOf(blockOf(...lines));
/** A block that is plain but for these lines. */
const withLines = (...lines: readonly string[]) => of('cache', ...forward, ...lines);
const withCache = (...options: readonly string[]) => of('cache {', ...options, '}', ...forward);
const withForward = (...options: readonly string[]) =>
  of('cache', 'forward . 10.96.0.10 {', 'force_tcp', ...options, '}');
const withTarget = (...targets: readonly string[]) => of('cache', `forward ${targets.join(' ')} {`, 'force_tcp', '}');

test('the blocks for cluster names of the shipped Corefile are plain, the one for all other names is not', () => {
  const options = testOptions();
  const environment = { ...options.environment, KUBE_DNS_SERVICE_HOST: '10.96.0.10' };
  const text = readFileSync(repositoryPath('deploy/Corefile'), 'utf8');
  const { blocks } = parseConfig(text, '/etc/Corefile', { ...options, environment });
  const plain = { address: '10.96.0.10', port: 53, expireMs: 10_000, maxAgeMs: 45_000, probeName: '.' };
  assert.deepEqual(
    blocks.map((block) => [block.zones[0].zone, directUpstreamOf(block)]),
    [
      ['cluster.local.', plain],
      ['in-addr.arpa.', plain],
      ['ip6.arpa.', plain],
      ['.', null],
    ],
  );
});

test('the upstream has the settings of the forward', () => {
  const lines = ['forward . [fd00::a]:5353 {', 'force_tcp', 'expire 7s', 'max_age 0s', '}'];
  const settings = { address: 'fd00::a', port: 5353, expireMs: 7_000, maxAgeMs: 0, probeName: '.' };
  for (const stale of ['serve_stale 1h verify 250ms', 'serve_stale 1h verify', 'serve_stale 0']) {
    assert.deepEqual(of('cache {', stale, '}', ...lines), settings, stale);
  }
});

const plain: Readonly<Record<string, () => unknown>> = {
  errors: () => withLines('errors'),
  'errors with an option': () => withLines('errors {', 'consolidate 5m ".*timeout$"', '}'),
  loop: () => withLines('loop'),
  prometheus: () => withLines('prometheus :9253'),
  reload: () => withLines('reload'),
  'health and ready': () => withLines('health :8080', 'ready :8181'),
  bind: () => withLines('bind 127.0.0.1'),
  bufsize: () => withLines('bufsize 1400'),
  'an AAAA policy': () => withLines('aaaa nodata'),
  'AAAA by the A records': () => withLines('aaaa smart'),
  'the template of the shipped Corefile': () => withLines('template ANY AAAA {', 'rcode NXDOMAIN', '}'),
  'cache times and sizes': () => withCache('success 100 30', 'denial 100 5', 'servfail 2s'),
  'prefetched names': () => withCache('prefetch 10 1m 10%'),
  'kept TTLs': () => withCache('keepttl'),
  'cached zones': () => of('cache 30 cluster.local', ...forward),
  'stale answers on failure': () => withCache('serve_stale 1h verify'),
  'stale answers after some time': () => withCache(`serve_stale 1h verify ${askAgainAfterMsMin}ms`),
  'another policy and health check': () => withForward('policy sequential', 'health_check 1s', 'max_fails 3'),
};

for (const [name, upstream] of Object.entries(plain)) {
  test(`plain: ${name}`, () => assert.notEqual(upstream(), null));
}

const notPlain: Readonly<Record<string, () => unknown>> = {
  'no cache': () => of(...forward),
  'no forward': () => of('cache', 'whoami'),
  'two forwards': () => of('cache', 'forward a. 10.0.0.2', ...forward),
  'the transport of the client': () => of('cache', 'forward . 10.96.0.10'),
  'UDP first': () => of('cache', 'forward . 10.96.0.10 {', 'prefer_udp', '}'),
  'two upstreams': () => withTarget('.', '10.96.0.10', '10.96.0.11'),
  'an upstream twice': () => withTarget('.', '10.96.0.10', '10.96.0.10'),
  TLS: () => withTarget('.', 'tls://10.96.0.10'),
  'a name beside the upstream': () => withTarget('.', '10.96.0.10', 'dns.test'),
  'a name of upstreams to ask first': () => withForward('endpoints kube-dns.kube-system.svc.cluster.local'),
  'a resolv.conf': () => withTarget('.', '/etc/resolv.conf'),
  'a zone of the block': () => withTarget('cluster.local', '10.96.0.10'),
  'excepted names': () => withForward('except a.cluster.local'),
  'another forward for some rcodes': () => withForward('next NXDOMAIN'),
  'another forward for empty answers': () => withForward('next_on_nodata'),
  'another upstream for some rcodes': () => withForward('failover SERVFAIL'),
  'a bound on its questions': () => withForward('max_concurrent 100'),
  'a source address': () => withForward('source_address 127.0.0.1'),
  log: () => withLines('log'),
  dnstap: () => withLines('dnstap tcp://127.0.0.1:6000'),
  'successes that are not cached': () => withCache('disable success'),
  'denials that are not cached': () => withCache('disable denial'),
  'successes of one zone that are not cached': () => withCache('disable success a.cluster.local'),
  'stale answers at once': () => withCache('serve_stale 1h immediate'),
  'stale answers soon': () => withCache(`serve_stale 1h verify ${askAgainAfterMsMin - 1}ms`),
};

for (const [name, upstream] of Object.entries(notPlain)) {
  test(`not plain: ${name}`, () => assert.equal(upstream(), null));
}

/** Lines with which each plugin is in a block. */
const linesOf: Readonly<Record<string, readonly string[]>> = {
  acl: ['acl {', 'allow net 10.0.0.0/8', '}'],
  any: ['any'],
  autopath: ['autopath /etc/resolv.conf'],
  chaos: ['chaos'],
  dns64: ['dns64'],
  header: ['header {', 'response set aa', '}'],
  hosts: ['hosts {', '10.0.0.1 a.test', '}'],
  loadbalance: ['loadbalance'],
  local: ['local'],
  minimal: ['minimal'],
  nsid: ['nsid'],
  rewrite: ['rewrite name a.test b.test'],
  template: ['template IN A {', 'answer "{{ .Name }} 60 IN A 10.0.0.1"', '}'],
  whoami: ['whoami'],
};

for (const { name } of plugins) {
  test(`not plain: the plugin ${name}`, () => assert.equal(withLines(...linesOf[name]), null));
}
