import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { newWorld, simpleCorefile } from './world.js';

const lines = '  prometheus 127.0.0.1:9153\n  local\n  aaaa nxdomain\n';
const withLocal = simpleCorefile.replace('  cache\n', `  cache\n${lines}`);

describe('local', () => {
  it('stands before every policy and what is cached, over both transports, and asks nobody', async () => {
    const world = await newWorld({ corefile: simpleCorefile });
    world.upstream.answers('localhost.example.', 'A', ['192.0.2.1']);
    world.upstream.answers('b.example.', 'A', ['192.0.2.2']);
    assert.deepEqual((await world.asks('localhost.example.', 'A')).data, ['192.0.2.1']);
    assert.equal(await world.reload(withLocal), 'reloaded');
    for (const transport of ['udp', 'tcp'] as const) {
      assert.deepEqual((await world.asks('localhost.example.', 'A', { transport })).data, ['127.0.0.1']);
      assert.deepEqual((await world.asks('localhost.', 'AAAA', { transport })).data, ['::1']);
      assert.deepEqual((await world.asks('1.0.0.127.in-addr.arpa.', 'PTR', { transport })).data, ['localhost']);
      assert.equal((await world.asks('9.9.9.127.in-addr.arpa.', 'PTR', { transport, edns: {} })).rcode, 'NXDOMAIN');
      assert.deepEqual((await world.asks('b.example.', 'A', { transport })).data, ['192.0.2.2']);
      assert.equal((await world.asks('b.example.', 'AAAA', { transport })).rcode, 'NXDOMAIN');
    }
    assert.equal(world.upstream.asked('localhost.example.'), 1);
    assert.equal(world.upstream.asked('localhost.'), 0);
  });

  it('is counted, and what it answers is not the cache’s', async () => {
    const world = await newWorld({ corefile: withLocal });
    for (const name of ['a.localhost.', 'localhost.example.', 'localhost.']) await world.asks(name, 'A');
    const { body } = await world.get('127.0.0.1:9153', '/metrics');
    assert.match(body, /^coredns_local_localhost_requests_total 2$/mu);
    assert.match(body, /^coredns_dns_responses_total\{[^}]*rcode="NOERROR",plugin="local"\} 3$/mu);
  });
});
