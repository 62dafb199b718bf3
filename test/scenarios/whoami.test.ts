import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { newWorld, opening } from './world.js';

const alone = '. {\n  bind 169.254.20.10\n  cache 30\n  whoami\n}\n';
const beside = alone.replace('whoami', 'whoami\n  forward example.org 10.96.0.10');

describe('whoami', () => {
  it('answers where nothing else does, each client for itself, though there is a cache', async () => {
    const world = await newWorld({ corefile: alone });
    for (const address of ['10.244.0.7', '10.244.0.8', '10.244.0.7']) {
      for (const transport of ['udp', 'tcp'] as const) {
        const asked = world.client(address).asks('example.org.', 'A', { transport });
        const { rcode, message, ttls } = await opening(world.clock, asked);
        const [own, port] = message.additionals as { name: string; data: unknown }[];
        assert.deepEqual([rcode, message.answers, message.authorities, ttls], ['NOERROR', [], [], [0, 0]]);
        assert.deepEqual([own.data, port.name], [address, `_${transport}.example.org`]);
      }
    }
  });

  it('answers two who ask at once each for itself, and with their OPT', async () => {
    const world = await newWorld({ corefile: alone });
    const asked = ['10.1.0.1', '10.1.0.2'].map((address) => world.client(address).asks('a.', 'MX', { edns: {} }));
    const own = async (index: number) =>
      (await opening(world.clock, asked[index])).message.additionals as { data: unknown }[];
    assert.deepEqual([(await own(0))[0].data, (await own(1))[0].data], ['10.1.0.1', '10.1.0.2']);
    assert.equal((await own(0)).length, 3);
  });

  it('leaves to a forward the names that it takes', async () => {
    const world = await newWorld({ corefile: beside });
    world.upstream.answers('a.example.org.', 'A', ['192.0.2.1'], { ttlSeconds: 600 });
    assert.deepEqual((await world.asks('a.example.org.', 'A')).data, ['192.0.2.1']);
    assert.equal((await world.asks('a.example.com.', 'A')).message.additionals?.length, 2);
  });
});
