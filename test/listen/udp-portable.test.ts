import assert from 'node:assert/strict';
import { test } from 'node:test';
import { receiveSlotBytes } from '../../src/limits.js';
import type { Client } from '../../src/listen/client.js';
import { openUdpListener } from '../../src/listen/udp-portable.js';
import type { Endpoint } from '../../src/os/network.js';
import { nodeNetwork } from '../../src/os/node-network.js';
import { ManualClock } from '../simulation/clock.js';
import { MemoryNetwork } from '../simulation/network.js';
import { seededRandom } from '../simulation/random.js';

const at: Endpoint = { address: '169.254.20.10', port: 53 };

async function world() {
  const clock = new ManualClock(0);
  const network = new MemoryNetwork(clock, seededRandom(1));
  const askers: Client[] = [];
  const packets: Buffer[] = [];
  const listener = await openUdpListener({ network }, at, (packet, client) => {
    packets.push(Buffer.from(packet));
    askers.push(client);
  });
  const answers: string[] = [];
  const client = network.connectDatagrams(
    at,
    {
      datagram: (bytes, from) => answers.push(`${Buffer.from(bytes)} from ${from.address}`),
      error: (error) => answers.push(String(error.code)),
    },
    '10.244.0.7',
  );
  const asks = (text: string): void => {
    client.send(Buffer.from(text), at);
    clock.passMs(0);
  };
  return { clock, network, listener, askers, packets, answers, client, asks };
}

test('every packet goes to serve with its sender, and answers go back to it in any order', async () => {
  const { clock, askers, packets, answers, client, asks, listener } = await world();
  asks('one');
  asks('two');
  asks('');
  assert.deepEqual(packets.map(String), ['one', 'two', '']);
  assert.deepEqual(
    [askers[0].transport, askers[0].remote, askers[0].local],
    [0, { address: '10.244.0.7', port: client.local.port }, at],
  );
  assert.deepEqual(listener.local, at);
  const answer = Buffer.from('second');
  askers[1].reply(answer);
  answer.fill(0);
  askers[2].reply(null);
  askers[0].reply(Buffer.from('first'));
  clock.passMs(0);
  assert.deepEqual(answers, ['second from 169.254.20.10', 'first from 169.254.20.10']);
});

test('of a long packet as much is read as a worker would', async () => {
  const { asks, packets } = await world();
  asks('x'.repeat(receiveSlotBytes + 1));
  asks('y'.repeat(receiveSlotBytes));
  assert.deepEqual(packets.map(String), ['x'.repeat(receiveSlotBytes), 'y'.repeat(receiveSlotBytes)]);
});

test('answering twice is a mistake', async () => {
  const { askers, asks } = await world();
  asks('one');
  askers[0].reply(null);
  assert.throws(() => askers[0].reply(Buffer.from('again')), /once/);
});

test('an address in use is an error', async () => {
  const { network } = await world();
  await assert.rejects(
    openUdpListener({ network }, at, () => {}),
    { code: 'EADDRINUSE' },
  );
});

test('drain answers what is in flight, takes nothing new, and closes', async () => {
  const { clock, network, listener, askers, packets, answers, asks } = await world();
  asks('one');
  asks('two');
  let drained = 0;
  listener.drain(() => drained++);
  asks('three');
  await clock.pass(0);
  assert.equal(packets.length, 2);
  askers[0].reply(Buffer.from('first'));
  await clock.pass(0);
  assert.equal(drained, 0);
  askers[1].reply(Buffer.from('second'));
  assert.equal(drained, 1);
  clock.passMs(0);
  assert.deepEqual(answers, ['first from 169.254.20.10', 'second from 169.254.20.10']);
  asks('four');
  assert.equal(answers.at(-1), 'ECONNREFUSED');
  assert.equal(network.open.datagramSockets, 1);
});

test('drain with nothing in flight is done at once, but never before it returns', async () => {
  const { clock, listener } = await world();
  let drained = 0;
  listener.drain(() => drained++);
  assert.equal(drained, 0);
  await clock.pass(0);
  assert.equal(drained, 1);
});

test('close is at once; answers that come later go nowhere', async () => {
  const { clock, listener, askers, answers, asks } = await world();
  asks('one');
  let drained = 0;
  listener.drain(() => drained++);
  listener.close();
  listener.close();
  await clock.pass(0);
  assert.equal(drained, 1);
  askers[0].reply(Buffer.from('late'));
  await clock.pass(0);
  assert.deepEqual(answers, []);
});

test('on loopback', async () => {
  const network = nodeNetwork({ sendFailed: assert.fail, acceptFailed: assert.fail });
  const listener = await openUdpListener({ network }, { address: '127.0.0.1', port: 0 }, (packet, client) =>
    client.reply(packet),
  );
  assert.notEqual(listener.local.port, 0);
  const answer = await new Promise<string>((resolve, reject) => {
    const client = network.connectDatagrams(listener.local, {
      datagram: (bytes) => {
        resolve(Buffer.from(bytes).toString());
        client.close();
      },
      error: reject,
    });
    client.send(Buffer.from('echo'), listener.local);
  });
  assert.equal(answer, 'echo');
  listener.close();
});
