import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { samplePackets } from '../../src/limits.js';
import type { Client } from '../../src/listen/client.js';
import type { SampleReader } from '../../src/listen/samples.js';
import { encodeSocketAddress } from '../../src/os/addresses.js';
import { newTopTalkers } from '../../src/process/top-talkers.js';
import { query } from '../resolve/lane-fixture.js';
import { ManualClock } from '../simulation/clock.js';
import { seededRandom } from '../simulation/random.js';

const nobody = { remote: { address: '', port: 0 }, local: { address: '', port: 0 } };

function wordsOf(address: string): Int32Array {
  const bytes = new Uint8Array(32);
  bytes.set(encodeSocketAddress({ address, port: 40_000 }));
  return new Int32Array(bytes.buffer);
}

function newFixture() {
  const clock = new ManualClock();
  let waiting: { packet: Uint8Array; peer: Int32Array }[] = [];
  const reader: Pick<SampleReader, 'read'> = {
    read(each) {
      for (const sample of waiting) each(sample, 20);
      waiting = [];
    },
  };
  const askers = newTopTalkers({ clock, random: seededRandom(1), samples: [reader as SampleReader] });
  const page = () => JSON.parse(askers.answer({ query: new URLSearchParams(), isLocal: true, ...nobody }).body);
  const sample = (packet: Uint8Array, from: string): void => void waiting.push({ packet, peer: wordsOf(from) });
  const askerAt = (address: string, more: Partial<Client> = {}): Client => ({
    transport: 1,
    remote: { address, port: 40_000 },
    local: { address: '169.254.20.10', port: 53 },
    reply() {},
    ...more,
  });
  return { clock, askers, page, sample, askerAt, left: () => waiting.length };
}

describe('newTopAskers', () => {
  it('knows what threads have sampled, in lower case, of IPv4 and IPv6', () => {
    const { page, sample } = newFixture();
    sample(query('WEB.example', 'A'), '10.244.0.7');
    sample(query('web.EXAMPLE', 'A'), 'fd00::7');
    const { names, clients } = page();
    assert.deepEqual([names.length, names[0].name, names[0].type, names[0].count], [1, 'web.example.', 'A', 40]);
    assert.deepEqual(clients.map(({ client }: { client: string }) => client).sort(), ['10.244.0.7', 'fd00::7']);
  });

  it('reads samples every second, so that there is room for more', async () => {
    const { clock, askers, sample, left } = newFixture();
    sample(query('web.example', 'A'), '10.244.0.7');
    await clock.pass(1_000);
    assert.equal(left(), 0);
    askers.stop();
    sample(query('web.example', 'A'), '10.244.0.7');
    await clock.pass(2_000);
    assert.equal(left(), 1);
  });

  it('looks at some of what comes to the control lane, and not again at what threads have handed over', () => {
    const { askers, page, askerAt } = newFixture();
    let served = 0;
    const serve = askers.watched(() => void served++);
    for (let times = 0; times < 1_600; times++) serve(query('over.tcp', 'AAAA'), askerAt('10.244.0.9'));
    for (let times = 0; times < 1_600; times++)
      serve(query('by.thread', 'A'), askerAt('10.244.0.9', { receivedAtMs: 1 }));
    assert.equal(served, 3_200);
    const { names, samples } = page();
    assert.deepEqual([names.length, names[0].name, names[0].type], [1, 'over.tcp.', 'AAAA']);
    assert.ok(Math.abs(samples - 1_600 / samplePackets) < 40, `${samples}`);
  });

  it('passes over what is no query', () => {
    const { page, sample } = newFixture();
    const whole = query('web.example', 'A');
    sample(whole.subarray(0, 11), '10.0.0.1');
    sample(whole.subarray(0, whole.length - 20), '10.0.0.1');
    const response = whole.slice();
    response[2] |= 0x80;
    sample(response, '10.0.0.1');
    const status = whole.slice();
    status[2] |= 0x10;
    sample(status, '10.0.0.1');
    assert.deepEqual(page().names, []);
  });
});

describe('an exception about what is seen', () => {
  it('leaves the packet to be served', () => {
    const { askers, askerAt } = newFixture();
    let served = 0;
    const watched = askers.watched(() => void served++);
    const asker = askerAt('10.244.0.7');
    Object.defineProperty(asker, 'remote', {
      get() {
        throw new Error('planted');
      },
    });
    assert.throws(() => watched(query('a.test', 'A'), asker), /planted/u);
    assert.equal(served, 1);
  });
});
