import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { scrape, sumOf } from '../../../bench/load/beside.js';

test('a scrape is the text of /metrics; a server that is not there is a failure', async () => {
  const server = createServer((request, response) => response.end(`asked for ${request.url}`)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  assert.equal(await scrape(port), 'asked for /metrics');
  server.close();
  await once(server, 'close');
  await assert.rejects(scrape(port), /ECONNREFUSED/);
});

test('a metric is added up over its labels, and no other that begins like it', () => {
  const metrics = '# TYPE a_total counter\na_total{b="c d"} 2\na_total 3\na_total_more 9\n';
  assert.deepEqual([sumOf(metrics, 'a_total'), sumOf(metrics, 'b_total')], [5, 0]);
});
