import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { test } from 'node:test';
import { lossCounts, lossesBetween, worstOverTcp } from '../../../bench/soak/probes.js';

const snmp = (received: number, sent: number): string => `Tcp: RtoAlgorithm RtoMin
Tcp: 1 200
Udp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors InCsumErrors
Udp: 1000 5 9 1000 ${received} ${sent} 0
UdpLite: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors InCsumErrors
UdpLite: 0 0 0 0 77 77 0
`;

const metrics = (short: number): string => `zerohop_dropped_packets_total{cause="short"} ${short}
zerohop_dropped_packets_total{cause="response"} 2
zerohop_send_failures_total 1
`;

test('what was lost is what was counted in between, by whomever', () => {
  const before = lossCounts(metrics(0), snmp(10, 1));
  assert.deepEqual(before, { kernel: 11, dropped: 2, unsent: 1 });
  const after = lossCounts(metrics(3), snmp(14, 2));
  assert.deepEqual(lossesBetween(before, after), { kernel: 5, dropped: 3, unsent: 0 });
});

test('the slowest of the answers over TCP is told', async () => {
  let answers = 0;
  const over = new AbortController();
  const server = createServer((socket) =>
    socket.on('data', (query) => {
      answers++;
      if (answers === 3) over.abort();
      setTimeout(() => socket.write(query), answers === 2 ? 120 : 0);
    }),
  ).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const worstMs = await worstOverTcp({ address: '127.0.0.1', port }, 'a.test', over.signal);
  assert.ok(answers >= 3 && worstMs >= 119, `${answers} answers, ${worstMs} ms`);
  server.close();
});
