import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConfigError } from '../../src/config/config.js';
import { fillPillars, hasPillars, type PillarValues } from '../../src/config/pillars.js';

const values: PillarValues = {
  localAddresses: ['169.254.20.10', '10.96.0.10'],
  clusterDns: { endpoint: { address: '10.97.12.34', port: 53 }, missing: null },
  upstreamServers: [],
  prometheusAddress: ':9253',
};
const fill = (text: string, other: Partial<PillarValues> = {}) => fillPillars(text, 'base', { ...values, ...other });
const clusterAt = (address: string, port: number) => ({ clusterDns: { endpoint: { address, port }, missing: null } });

test('each placeholder becomes what it is on this node', () => {
  for (const [placeholder, value] of [
    ['__PILLAR__DNS__DOMAIN__', 'cluster.local'],
    ['__PILLAR__LOCAL__DNS__', '169.254.20.10 10.96.0.10'],
    ['__PILLAR__DNS__SERVER__', ''],
    ['__PILLAR__CLUSTER__DNS__', '10.97.12.34'],
    ['__PILLAR__UPSTREAM__SERVERS__', '/etc/resolv.conf'],
    ['__PROMETHEUS__ENDPOINT__', ':9253'],
  ]) {
    assert.equal(fill(`a ${placeholder} b\n${placeholder}`), `a ${value} b\n${value}`);
    assert.ok(hasPillars(`{\n bind ${placeholder}\n}`));
  }
});
test('what has no placeholder is no template and stays as it is, to the byte', () => {
  const text =
    '\ufeff. {\r\n  bind 127.0.0.1 # __PILLAR__LOCAL__DNS__?\r\n  log __x__ __PILLAR__ __pillar__dns__domain__\r\n}';
  assert.equal(hasPillars(text), false);
  assert.equal(fill(text.replace('__PILLAR__LOCAL__DNS__', 'x')), text.replace('__PILLAR__LOCAL__DNS__', 'x'));
});
test('a local address that is part of a word is the first one, in brackets where a port follows', () => {
  assert.equal(fill('health __PILLAR__LOCAL__DNS__:8080'), 'health 169.254.20.10:8080');
  assert.equal(fill('bind __PILLAR__LOCAL__DNS__ __PILLAR__DNS__SERVER__'), 'bind 169.254.20.10 10.96.0.10 ');
  const six = { localAddresses: ['fd00::a', 'fd00::b'] };
  assert.equal(fill('health __PILLAR__LOCAL__DNS__:8080', six), 'health [fd00::a]:8080');
  assert.equal(fill('bind __PILLAR__LOCAL__DNS__\r\n', six), 'bind fd00::a fd00::b\r\n');
});
test('the cluster DNS has its port where that is not 53, unless the template says one', () => {
  assert.equal(fill('forward . __PILLAR__CLUSTER__DNS__', clusterAt('10.0.0.1', 5353)), 'forward . 10.0.0.1:5353');
  assert.equal(fill('__PILLAR__CLUSTER__DNS__:54', clusterAt('10.0.0.1', 5353)), '10.0.0.1:54');
  assert.equal(fill('__PILLAR__CLUSTER__DNS__:54', clusterAt('fd00::1', 53)), '[fd00::1]:54');
  assert.equal(fill('__PILLAR__CLUSTER__DNS__', clusterAt('fd00::1', 53)), 'fd00::1');
  assert.equal(fill('__PILLAR__CLUSTER__DNS__ {', clusterAt('fd00::1', 5353)), '[fd00::1]:5353 {');
});
test('a cluster DNS that is not known is an error at its line, except in a comment', () => {
  const missing = { clusterDns: { endpoint: null, missing: 'X_SERVICE_HOST is not set; set it.' } } as const;
  assert.throws(
    () => fill('. {\n\n forward . __PILLAR__CLUSTER__DNS__\n}', missing),
    (error) =>
      error instanceof ConfigError &&
      error.message === 'base:3: no value for __PILLAR__CLUSTER__DNS__: X_SERVICE_HOST is not set; set it.',
  );
  assert.equal(fill('# __PILLAR__CLUSTER__DNS__', missing), '# __PILLAR__CLUSTER__DNS__');
  assert.equal(fill('forward . /etc/resolv.conf', missing), 'forward . /etc/resolv.conf');
});
test('a placeholder that nobody knows is an error at its line, except in a comment', () => {
  for (const placeholder of ['__PILLAR__CLUSTR__DNS__', '__PILLAR__DNS__', '__PROMETHEUS__PORT__']) {
    assert.throws(
      () => fill(`a\n b ${placeholder}:53 {`),
      /^ConfigError: base:2: __P.* is not a placeholder; known: __/u,
    );
    assert.equal(fill(`a # ${placeholder}`), `a # ${placeholder}`);
    assert.ok(hasPillars(placeholder));
  }
});

const block = (inside: string) => `.:53 {\n    forward . __PILLAR__UPSTREAM__SERVERS__${inside}\n    cache 30\n}\n`;
const servers = { upstreamServers: ['1.1.1.1', '8.8.8.8:5353'] };

test('servers of a ConfigMap are not forced to TCP, and every line keeps its number', () => {
  const asked = '.:53 {\n    forward . 1.1.1.1 8.8.8.8:5353';
  for (const inside of [' {\n            force_tcp\n    }', ' {\n\tforce_tcp\n\t}', '{\n  force_tcp\n\n}']) {
    const lines = '\n'.repeat(inside.split('\n').length - 1);
    assert.equal(fill(block(inside), servers), `${asked}${lines}\n    cache 30\n}\n`);
  }
});
test('force_tcp stays beside other options, and where resolv.conf is asked or other servers are named', () => {
  const more = ' {\n        force_tcp\n        max_concurrent 100\n    }';
  assert.match(fill(block(more), servers), /forward \. 1\.1\.1\.1 8\.8\.8\.8:5353 \{\n {8}force_tcp\n/u);
  const alone = ' {\n        force_tcp\n    }';
  assert.match(fill(block(alone)), /forward \. \/etc\/resolv\.conf \{\n {8}force_tcp\n {4}\}/u);
  const others = 'forward . 10.0.0.1 {\n force_tcp\n}\n';
  assert.equal(fill(others, servers), others);
});
