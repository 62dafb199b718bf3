/** A pod opens as many TCP connections as it can, idle ones, busy ones and half-closed ones: the others still get theirs. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tcpClientsMax } from '../../src/limits.js';
import { newWorld, opening } from '../scenarios/world.js';
import { encodeQuery, type TcpClient } from '../simulation/client.js';

const kinds = {
  'that say nothing': () => {},
  'that have asked once': (client: TcpClient) => client.sends(encodeQuery('a.example.', 'A', 1)),
  'that wait for a slow answer': (client: TcpClient) => client.sends(encodeQuery('slow.example.', 'A', 1)),
  'with half a query': (client: TcpClient) => client.sendsRaw(Buffer.of(0, 40, 0)),
} as const;

for (const [what, begins] of Object.entries(kinds)) {
  for (const addresses of [1, 4]) {
    test(`${2 * tcpClientsMax} connections ${what}, from ${addresses} addresses: another client is answered over TCP`, async () => {
      const world = await newWorld();
      world.upstream.answers('a.example.', 'A', ['192.0.2.1'], { ttlSeconds: 300 });
      world.upstream.silent('slow.example.');
      await world.asks('a.example.', 'A');
      for (let n = 0; n < 2 * tcpClientsMax; n++) begins(world.client(`10.244.9.${n % addresses}`).connects());
      await world.pass(5);
      for (let time = 0; time < 8; time++) {
        const victim = world.client('10.244.0.9').asks('a.example.', 'A', { transport: 'tcp' });
        assert.deepEqual((await opening(world.clock, victim)).data, ['192.0.2.1']);
        await world.pass(100);
      }
      await world.stop();
    });
  }
}
