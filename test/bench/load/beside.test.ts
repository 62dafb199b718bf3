import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { scrape, scrapeUntil, sumOf } from '../../../bench/load/beside.js';

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

test('scrapes come in the middle of their intervals, and end when they are told', async () => {
  let scrapes = 0;
  const over = new AbortController();
  const server = createServer((_, response) => {
    if (++scrapes === 3) over.abort();
    response.end();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const startedMs = performance.now();
  assert.equal(await scrapeUntil(over.signal, port, { everySeconds: 0.1, seconds: 60 }), 3);
  assert.ok(performance.now() - startedMs >= 249);
  const short = new AbortController();
  const one = scrapeUntil(short.signal, port, { everySeconds: 15, seconds: 0.1 });
  await once(server, 'request');
  short.abort();
  assert.deepEqual([await one, scrapes], [1, 4]);
  server.close();
  await once(server, 'close');
});
