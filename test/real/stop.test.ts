/**
 * The end: SIGTERM and SIGINT let what is in flight be answered, and the process is gone with 0 within five seconds,
 * whatever state its upstream and its clients are in.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventually } from './commands.js';
import { assertEchoed, question, startOnLoopback } from './loopback.js';
import { openTcp, openUdp } from './packets.js';
import { goodAnswer, startStandIn } from './stand-in.js';

const withinMs = 5_000;
const first = question(1, 'good', 1);

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  test(`${signal}: questions in flight over UDP and TCP are answered, then exit 0`, async () => {
    let release: () => void = () => {};
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    const upstream = await startStandIn(async (query) => {
      if (query.includes('slow')) await released;
      return [goodAnswer(query)];
    });
    const zerohop = await startOnLoopback(`forward . 127.0.0.1:${upstream.port} {\n        force_tcp\n    }`, first);
    const udp = await openUdp(zerohop.place);
    const tcp = await openTcp(zerohop.place);
    const earlier = upstream.asked;
    udp.send(question(1, 'slow-udp', 1));
    tcp.send(question(2, 'slow-tcp', 1));
    await eventually('both are asked upstream', () => (upstream.asked >= earlier + 2 ? true : undefined));
    const startedMs = performance.now();
    zerohop.program.signal(signal);
    await eventually('the signal is seen', () => (zerohop.program.stdout().includes(signal) ? true : undefined));
    release();
    assertEchoed(await udp.receive(1), question(0, 'slow-udp', 1), 'over UDP');
    assertEchoed(await tcp.receive(2), question(0, 'slow-tcp', 1), 'over TCP');
    assert.equal((await zerohop.program.finished).status, 0);
    assert(performance.now() - startedMs < withinMs);
    udp.close();
    tcp.close();
    upstream.close();
    await zerohop.stop();
  });
}

test('SIGTERM while the upstream is silent and clients hold their connections: exit 0 all the same', async () => {
  const upstream = await startStandIn((query) => (query.includes('never') ? [] : [goodAnswer(query)]));
  const zerohop = await startOnLoopback(`forward . 127.0.0.1:${upstream.port} {\n        force_tcp\n    }`, first);
  const clients = await Promise.all(Array.from({ length: 50 }, () => openTcp(zerohop.place)));
  const earlier = upstream.asked;
  for (const [index, client] of clients.entries()) client.send(question(index, `never-${index}`, 1));
  await eventually('they are asked upstream', () => (upstream.asked > earlier ? true : undefined));
  const startedMs = performance.now();
  zerohop.program.signal('SIGTERM');
  assert.equal((await zerohop.program.finished).status, 0);
  assert(performance.now() - startedMs < withinMs);
  for (const client of clients) client.close();
  upstream.close();
  await zerohop.stop();
});
