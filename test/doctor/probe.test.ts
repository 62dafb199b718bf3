/** The doctor's questions on a network: answers, silence, closed ports, rubbish, and the budget that all of them pass. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { typeA, typePtr } from '../../src/dns/wire.js';
import { fetchOver } from '../../src/doctor/fetch.js';
import { type ProbeReply, type ProbeTransport, patience, probePairs, probeServer } from '../../src/doctor/probe.js';
import { countedNetwork, overBudgetCode, QuestionBudget } from '../../src/doctor/question-budget.js';
import type { Network, StreamEvents } from '../../src/os/network.js';
import { ManualClock } from '../simulation/clock.js';
import { MemoryNetwork } from '../simulation/network.js';
import { seededRandom } from '../simulation/random.js';
import { openUpstream } from '../simulation/upstream.js';

const server = { address: '10.96.0.10', port: 53 };
const name = 'kubernetes.default.svc.cluster.local.';

async function world() {
  const clock = new ManualClock();
  const random = seededRandom(1);
  const network = new MemoryNetwork(clock, random);
  const upstream = await openUpstream(network, clock, server);
  upstream.answers(name, 'A', ['10.96.0.1']);
  upstream.answers(name, 'AAAA', ['fd00:96::1']);
  upstream.answers('1.0.96.10.in-addr.arpa.', 'PTR', ['Kubernetes.Default.svc.cluster.local.']);
  const parts = { clock, random, network: network as Network };
  const ask = (over: ProbeTransport, wish: { name?: string; type?: number; port?: number } = {}): Promise<ProbeReply> =>
    clock.until(
      probeServer(parts, {
        server: { address: server.address, port: wish.port ?? 53 },
        over,
        name: wish.name ?? name,
        type: wish.type ?? typeA,
        timeoutMs: 1_000,
      }),
    );
  return { clock, random, network, upstream, parts, ask };
}

test('answers over UDP and TCP', async () => {
  const { ask, network } = await world();
  for (const over of ['udp', 'tcp'] as const) {
    const reply = await ask(over);
    assert.ok(reply.answered);
    assert.deepEqual([reply.rcode, reply.addresses], [0, ['10.96.0.1']]);
  }
  const reverse = await ask('udp', { name: '1.0.96.10.in-addr.arpa.', type: typePtr });
  assert.ok(reverse.answered);
  assert.deepEqual(reverse.names, ['kubernetes.default.svc.cluster.local.']);
  const refused = await ask('udp', { name: 'other.' });
  assert.ok(refused.answered && refused.rcode === 5);
  assert.equal(network.open.datagramSockets, 1, 'only the server is open');
});

test('silence, a closed port, and what is no answer', async () => {
  const { ask, network, upstream } = await world();
  network.stall(server);
  assert.deepEqual(await ask('udp'), { answered: false, why: 'silent' });
  assert.deepEqual(await ask('tcp'), { answered: false, why: 'silent' });
  network.resume(server);
  assert.deepEqual(await ask('tcp', { port: 54 }), { answered: false, why: 'closed' });
  upstream.on(() => Buffer.from('rubbish that is no answer'));
  assert.deepEqual(await ask('udp'), { answered: false, why: 'silent' });
});

test('an answer with broken records is an answer', async () => {
  const { ask, upstream } = await world();
  upstream.on(({ bytes }) => {
    const reply = Buffer.concat([bytes, Buffer.from([0xc0, 0x0c, 0, 1, 0, 1, 0, 0, 0, 5, 0, 4, 10])]);
    reply[2] |= 0x80;
    reply[7] = 1;
    return reply;
  });
  const reply = await ask('udp');
  assert.ok(reply.answered);
  assert.deepEqual(reply.addresses, []);
});

test('pairs from one socket, of which some are lost', async () => {
  const { clock, parts, upstream } = await world();
  let asked = 0;
  upstream.on(({ question }) => (question.type === 'AAAA' && ++asked % 5 === 0 ? null : undefined));
  const pairs = await clock.until(probePairs(parts, { server, name, pairs: 23, atOnce: 10, timeoutMs: 1_000 }));
  assert.deepEqual(pairs, { pairs: 23, lostOne: 4, lostBoth: 0 });
  const sources = new Set(upstream.questions.map(({ from }) => from.port));
  assert.equal(sources.size, 23, 'each pair has one port of its own');
});

test('a packet of a pair that the kernel drops while it is sent is one lost answer', async () => {
  const { clock, random, network } = await world();
  let sent = 0;
  const connect: Pick<Network, 'connectDatagrams'> = {
    connectDatagrams(to, events) {
      const socket = network.connectDatagrams(to, events);
      return {
        ...socket,
        close: () => socket.close(),
        send(bytes, at) {
          if (++sent % 2 === 0) socket.send(bytes, at);
          else events.error(Object.assign(new Error('send EPERM'), { code: 'EPERM' }));
        },
      };
    },
  };
  const parts = { clock, random, network: Object.assign(Object.create(network), connect) as Network };
  const pairs = await clock.until(probePairs(parts, { server, name, pairs: 3, atOnce: 2, timeoutMs: 1_000 }));
  assert.deepEqual(pairs, { pairs: 3, lostOne: 3, lostBoth: 0 });
});

test('an answer that has come while the process was not scheduled is one', async () => {
  const { clock, network, parts, upstream } = await world();
  assert.ok(upstream.questions.length === 0);
  network.faults.latencyMs = 505;
  const question = { server, name, type: typeA, over: 'udp', timeoutMs: 1_000 } as const;
  // It takes 1,010 ms, and is read in the turn behind the one in which the time was over.
  assert.ok((await clock.until(probeServer(parts, question))).answered);
  const pairs = await clock.until(probePairs(parts, { server, name, pairs: 2, atOnce: 2, timeoutMs: 1_000 }));
  assert.deepEqual(pairs, { pairs: 2, lostOne: 0, lostBoth: 0 });
  network.faults.latencyMs = 600;
  assert.deepEqual(await clock.until(probeServer(parts, question)), { answered: false, why: 'silent' });
  let called = 0;
  patience(clock, 10, () => called++).stop();
  clock.passMs(1_000);
  assert.equal(called, 0);
});

test('beyond the budget nothing is sent, and that is told apart from silence', async () => {
  const { clock, random, network, upstream } = await world();
  const budget = new QuestionBudget(3);
  const parts = { clock, random, network: countedNetwork(network, budget) };
  const ask = (over: ProbeTransport) =>
    clock.until(probeServer(parts, { server, over, name, type: typeA, timeoutMs: 1_000 }));
  assert.ok((await ask('udp')).answered && (await ask('tcp')).answered && (await ask('udp')).answered);
  assert.deepEqual(await ask('udp'), { answered: false, why: 'unasked' });
  assert.deepEqual(await ask('tcp'), { answered: false, why: 'unasked' });
  assert.deepEqual([upstream.questions.length, budget.left, budget.refused], [3, 0, 2]);
  const pairs = await clock.until(probePairs(parts, { server, name, pairs: 2, atOnce: 2, timeoutMs: 1_000 }));
  assert.equal(pairs.pairs, 0);
  assert.deepEqual(parts.network.hostAddresses?.(), network.hostAddresses());
});

test('nothing listens in a counted network', async () => {
  const { network } = await world();
  const counted = countedNetwork(network, new QuestionBudget(1));
  await assert.rejects(counted.openDatagrams(server, { datagram() {}, error() {} }), { code: overBudgetCode });
  await assert.rejects(
    counted.listenStreams(server, () => ({ data() {}, ended() {}, closed() {} })),
    { code: overBudgetCode },
  );
});

/** An HTTP server that says this and closes, or does not. */
async function fetched(said: string, end: 'closes' | 'stays open' = 'closes', url = 'http://10.244.0.7:9153/metrics') {
  const clock = new ManualClock();
  const network = new MemoryNetwork(clock, seededRandom(1));
  let asked = '';
  await network.listenStreams(
    { address: '10.244.0.7', port: 9153 },
    (stream): StreamEvents => ({
      data(bytes) {
        asked += Buffer.from(bytes).toString();
        stream.write(Buffer.from(said));
        if (end === 'closes') stream.end();
      },
      ended: () => stream.end(),
      closed() {},
    }),
  );
  const answer = await clock.until(fetchOver(network, clock)(url, { timeoutMs: 1_000, bytesMax: 64 }));
  return { answer, asked };
}

test('one HTTP GET', async () => {
  const { answer, asked } = await fetched('HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nbody\n');
  assert.deepEqual(answer, { status: 200, body: 'body\n' });
  assert.match(asked, /^GET \/metrics HTTP\/1\.0\r\nHost: 10\.244\.0\.7:9153\r\n/);
  assert.deepEqual((await fetched('HTTP/1.1 503 Service Unavailable\r\n\r\nkubernetes')).answer, {
    status: 503,
    body: 'kubernetes',
  });
});

test('an HTTP server that is silent, speaks something else, too much, or is not there', async () => {
  assert.equal((await fetched('', 'stays open')).answer, null);
  assert.equal((await fetched('220 smtp ready\r\n\r\n')).answer, null);
  assert.equal((await fetched('HTTP/1.0 200 OK\r\n')).answer, null);
  const much = await fetched(`HTTP/1.0 200 OK\r\n\r\n${'x'.repeat(1_000)}`, 'stays open');
  assert.equal(much.answer?.body.length, 64);
  assert.equal((await fetched('', 'closes', 'http://10.244.0.7:1/')).answer, null);
  assert.equal((await fetched('', 'closes', 'https://10.244.0.7/')).answer, null);
});
