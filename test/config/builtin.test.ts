import assert from 'node:assert/strict';
import { test } from 'node:test';
import { builtinCorefile } from '../../src/config/builtin.js';
import { builtinConfig, builtinExample, testOptions } from './options.js';

test('the built-in configuration is what the design promises', () => {
  const config = builtinConfig(
    { localAddresses: ['169.254.20.10', 'fd00::a'], port: 53, clusterDns: '10.96.0.10:53' },
    testOptions(),
  );
  assert.equal(config.source, '(built-in)');
  assert.deepEqual(config.files, []);
  assert.deepEqual(config.health, { addresses: [{ address: '169.254.20.10', port: 8080 }], lameduckMs: 0 });
  assert.deepEqual(config.ready, { addresses: [{ address: '::', port: 8181 }], monitor: 'until-ready' });
  assert.deepEqual(config.metrics, [{ address: '::', port: 9253 }]);
  assert.deepEqual(config.reload, { intervalMs: 5_000, jitterMs: 1_000 });
  assert.deepEqual(
    config.blocks.map(({ zones }) => zones),
    ['cluster.local.', 'in-addr.arpa.', 'ip6.arpa.', '.'].map((zone) => [{ zone, port: 53 }]),
  );
  for (const { addresses, aaaa, settings, errors, loop, prometheus } of config.blocks) {
    assert.deepEqual(addresses, ['169.254.20.10', 'fd00::a']);
    assert.deepEqual([aaaa, Object.keys(settings).length, loop, prometheus], ['nxdomain', 0, true, true]);
    assert.notEqual(errors, null);
  }
  const [cluster, , , rest] = config.blocks;
  assert.deepEqual([cluster.cache?.success.ttlMaxSeconds, cluster.cache?.denial.ttlMaxSeconds], [30, 5]);
  assert.equal(cluster.forwards[0].transport, 'tcp');
  assert.deepEqual(cluster.forwards[0].to, [{ kind: 'endpoint', endpoint: { address: '10.96.0.10', port: 53 } }]);
  assert.equal(rest.cache?.success.ttlMaxSeconds, 30);
  assert.deepEqual(rest.forwards[0].to, [{ kind: 'file', path: '/etc/resolv.conf' }]);
  assert.equal(config.warnings.length, 1, 'that AAAA is NXDOMAIN, and nothing else');
});
test('ports and addresses can be moved, as the demo needs', () => {
  const config = builtinConfig(
    {
      localAddresses: ['127.0.0.1'],
      port: 1053,
      clusterDns: '127.0.0.1:5300',
      healthPort: 18080,
      prometheusAddress: '127.0.0.1:19253',
      readyAddress: '127.0.0.1:18181',
    },
    testOptions(),
  );
  assert.equal(config.blocks[0].zones[0].port, 1053);
  assert.deepEqual(config.health, { addresses: [{ address: '127.0.0.1', port: 18080 }], lameduckMs: 0 });
  assert.deepEqual(config.ready?.addresses[0].port, 18181);
  assert.deepEqual(config.metrics, [{ address: '127.0.0.1', port: 19253 }]);
});
test('health on an IPv6 address is written in brackets', () => {
  assert.match(builtinCorefile({ ...builtinExample, localAddresses: ['fd00::a'] }), /health \[fd00::a\]:8080/u);
});
test('without a cluster DNS only the resolv.conf is asked', () => {
  const config = builtinConfig(
    { ...builtinExample, clusterDns: null, outside: '/run/r' },
    testOptions({ '/run/r': '' }),
  );
  assert.deepEqual(
    config.blocks.map(({ zones }) => zones[0].zone),
    ['.'],
  );
  assert.deepEqual(config.blocks[0].forwards[0].to, [{ kind: 'file', path: '/run/r' }]);
});
