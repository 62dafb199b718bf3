import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import packets from 'dns-packet';
import fc from 'fast-check';
import { Normaliser } from '../../src/dns/normalise.js';
import { type Preference, shuffleAddresses } from '../../src/dns/shuffle.js';
import { Prng } from '../../src/resolve/worker-context.js';
import { seededRandom } from '../simulation/random.js';
import { hashKey } from './hash-key.js';

const normaliser = new Normaliser(hashKey());

interface Plain {
  readonly name: string;
  readonly type: string;
  readonly ttl: number;
  readonly data: string;
}

/** The message's sections before and after, its records flat. */
function shuffled(packet: Partial<packets.Packet>, dice = new Prng(1), preferred: readonly Preference[] = []) {
  const message = packets.encode({ type: 'response', questions: [{ name: 'www.test', type: 'A' }], ...packet });
  assert.ok(normaliser.read(message));
  const { out } = normaliser;
  const bytes = Buffer.from(out.message.subarray(0, out.messageBytes));
  const before = plain(packets.decode(bytes));
  const offsets = { halves: out.ttlOffsets, first: 0, count: out.records };
  shuffleAddresses(bytes, out.questionEnd, offsets, preferred, dice);
  return { before, after: plain(packets.decode(bytes)) };
}

function plain({ answers = [], authorities = [], additionals = [] }: packets.DecodedPacket): Plain[] {
  return [...answers, ...authorities, ...additionals].map((record) => {
    const { name, type, ttl = 0, data } = record as packets.StringAnswer;
    return { name, type, ttl, data: JSON.stringify(data) };
  });
}

const a = (name: string, host: number, ttl = 30): packets.Answer => ({ name, type: 'A', ttl, data: `192.0.2.${host}` });
const dataOf = (records: readonly Plain[]) => records.map(({ data }) => data.replaceAll('"', ''));

describe('shuffleAddresses', () => {
  it('gives every order of three addresses as often', () => {
    const dice = new Prng(7);
    const answers = [1, 2, 3].map((host) => a('www.test', host));
    const counts = new Map<string, number>();
    for (let round = 0; round < 6000; round++) {
      const order = dataOf(shuffled({ answers }, dice).after).join();
      counts.set(order, (counts.get(order) ?? 0) + 1);
    }
    assert.equal(counts.size, 6);
    for (const [order, count] of counts) assert.ok(Math.abs(count - 1000) < 130, `${order}: ${count}`);
  });

  it('leaves aliases, other types and lone addresses where they are', () => {
    const answers: packets.Answer[] = [
      { name: 'www.test', type: 'CNAME', ttl: 9, data: 'host.test' },
      a('host.test', 1, 5),
      a('host.test', 2, 5),
      { name: 'host.test', type: 'TXT', ttl: 7, data: 'x' },
      a('host.test', 3),
      a('other.test', 4),
      { name: 'other.test', type: 'AAAA', ttl: 7, data: 'fd00::1' },
    ];
    const { before, after } = shuffled({ answers }, { below: () => 0 } as unknown as Prng);
    assert.deepEqual(after.slice(1, 3), [before[2], before[1]]);
    assert.deepEqual([after[0], ...after.slice(3)], [before[0], ...before.slice(3)]);
  });

  it('keeps every record, with its own TTL, under its own name, in its own section', () => {
    const record = fc.record({
      name: fc.constantFrom('www.test', 'WWW.test', 'a.test', 'b.a.test', 'x'),
      kind: fc.constantFrom('A', 'AAAA', 'CNAME', 'MX'),
      ttl: fc.nat(999),
      host: fc.integer({ min: 1, max: 254 }),
    });
    const section = fc.array(record, { maxLength: 12 }).map((records) =>
      records.map(({ name, kind, ttl, host }): packets.Answer => {
        if (kind === 'A') return a(name, host, ttl);
        if (kind === 'AAAA') return { name, type: 'AAAA', ttl, data: `fd00::${host.toString(16)}` };
        if (kind === 'CNAME') return { name, type: 'CNAME', ttl, data: `c${host}.test` };
        return { name, type: 'MX', ttl, data: { preference: host, exchange: 'a.test' } };
      }),
    );
    fc.assert(
      fc.property(section, section, fc.integer(), (answers, additionals, seed) => {
        const { before, after } = shuffled({ answers, additionals }, new Prng(seed));
        assert.deepEqual(
          after.map(({ name, type }) => [name, type]),
          before.map(({ name, type }) => [name, type]),
        );
        const sorted = (records: readonly Plain[]) =>
          records.map((each) => JSON.stringify({ ...each, name: each.name.toLowerCase() })).sort();
        assert.deepEqual(sorted(after), sorted(before));
        const others = (records: readonly Plain[]) => records.filter(({ type }) => type !== 'A' && type !== 'AAAA');
        assert.deepEqual(others(after), others(before));
      }),
    );
  });

  it('puts addresses of preferred networks first, in the order of those', () => {
    const networks = [
      { bytes: [10, 9, 0, 0], prefixBits: 16 },
      { bytes: [192, 168, 128, 0], prefixBits: 17 },
      { bytes: [0x20, 1, ...Array(14).fill(0)], prefixBits: 16 },
    ];
    const addresses = ['192.168.127.1', '10.8.0.1', '192.168.128.1', '10.9.1.1', '10.9.2.1'];
    const answers = addresses.map((data): packets.Answer => ({ name: 'www.test', type: 'A', ttl: 30, data }));
    const random = seededRandom(3);
    const firsts = new Set<string>();
    for (let round = 0; round < 50; round++) {
      const after = dataOf(shuffled({ answers }, new Prng(random.below(2 ** 32)), networks).after);
      assert.deepEqual(after.slice(0, 2).sort(), ['10.9.1.1', '10.9.2.1']);
      assert.equal(after[2], '192.168.128.1');
      firsts.add(`${after[0]} ${after[3]}`);
    }
    assert.equal(firsts.size, 4, 'and within a network they still change places');
    const six = ['fd00::1', '2001::1', '2001:db8::1'];
    const records = six.map((data): packets.Answer => ({ name: 'www.test', type: 'AAAA', ttl: 30, data }));
    assert.equal(dataOf(shuffled({ answers: records }, new Prng(1), networks).after)[2], 'fd00::1');
  });
});
