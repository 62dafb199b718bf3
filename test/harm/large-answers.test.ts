/**
 * A client asks for more large answers than there is memory for. What others ask for all the time stays in the cache:
 * whether it does is seen by what the upstream is asked again.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Blocks, cacheMemory, type Keep } from '../../src/cache/blocks.js';
import { Cache } from '../../src/cache/cache.js';
import { nameToWire } from '../../src/dns/names.js';
import { cacheBytesLeast, headerBytes, largeBlocksShare, slabBytes } from '../../src/limits.js';
import { answerFor, queryFor } from '../cache/answers.js';
import { hashKey } from '../dns/hash-key.js';
import { newWorld, simpleCorefile } from '../scenarios/world.js';

const hotNames = 500;
/** The hot names are asked again after so many of the flood's answers. */
const floodedBetween = 100;

/** An answer of one TXT record with so much data, as it comes from an upstream. */
function textAnswer(query: Uint8Array, questionEnd: number, dataBytes: number): Uint8Array {
  const header = [query[0], query[1], 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0];
  const record = [0xc0, headerBytes, 0, 16, 0, 1, 0, 0, 0x0e, 0x10, dataBytes >> 8, dataBytes & 0xff];
  return Uint8Array.from([
    ...header,
    ...query.subarray(headerBytes, questionEnd),
    ...record,
    ...new Uint8Array(dataBytes),
  ]);
}

it('1,200 answers of 60 kB leave 500 names that are asked all the time in the cache', async () => {
  const world = await newWorld({ corefile: simpleCorefile.replace('cache', 'cache {\n    success 100000 3600\n  }') });
  const hot = Array.from({ length: hotNames }, (_, number) => `hot-${number}.test.`);
  for (const name of hot) world.upstream.answers(name, 'A', ['192.0.2.1'], { ttlSeconds: 3_600 });
  world.upstream.on(({ name, bytes }) =>
    name.startsWith('large-') ? textAnswer(bytes, headerBytes + nameToWire(name).length + 4, 60_000) : undefined,
  );
  const askHot = async () => {
    const answers = hot.map((name) => world.asking(name, 'A'));
    await world.pass(5);
    for (const { rcode } of await Promise.all(answers)) assert.equal(rcode, 'NOERROR');
  };
  await askHot();
  await askHot();
  for (let number = 0; number < 1_200; number++) {
    assert.equal((await world.asks(`large-${number}.test.`, 'TXT')).rcode, 'NOERROR');
    if (number % floodedBetween === 0) await askHot();
  }
  await askHot();
  const lost = world.upstream.questions.filter(({ name }) => name.startsWith('hot-')).length - hotNames;
  assert.ok(lost <= hotNames * 0.03, `${lost} hot names were asked again`);
  await world.stop();
});

describe('hot names in a flood of answers that the client makes', () => {
  const slabs = 16;
  const floods: Record<string, { readonly bytes: readonly number[]; readonly before: number }> = {
    'of 60 kB': { bytes: [60_000], before: 0 },
    'just above what is large': { bytes: [4_200], before: 0 },
    'of all sizes that are large': { bytes: [4_200, 5_500, 7_000, 10_000, 16_000, 25_000, 40_000, 64_000], before: 0 },
    'just below it': { bytes: [3_900], before: 0 },
    'of two sizes by turns': { bytes: [300, 3_000], before: 0 },
    'of 60 kB, into memory that is full of small ones': { bytes: [60_000], before: 30_000 },
  };
  for (const [what, { bytes, before }] of Object.entries(floods)) {
    it(`${what}: a few in a hundred are lost at most`, () => {
      const cache = new Cache(new Blocks(cacheMemory(), hashKey()), slabs * slabBytes);
      const store = cache.newStore({ successEntriesMax: 100_000, denialEntriesMax: 10 });
      for (let number = 0; number < before; number++) cache.keep(store, answerFor(`full-${number}.test`), 0);
      let lost = 0;
      const askHot = (isFirst: boolean) => {
        for (let number = 0; number < hotNames; number++) {
          const packet = queryFor(`hot-${number}.test`);
          const ref = cache.blocks.find(packet, packet.length, 1, 0);
          if (ref !== 0) cache.blocks.touch(ref, 0, 1_000);
          else cache.keep(store, answerFor(`hot-${number}.test`), 0);
          if (ref === 0 && !isFirst) lost++;
        }
      };
      askHot(true);
      askHot(true);
      for (let number = 0; number < 1_200; number++) {
        assert.notEqual(cache.keep(store, large(number, bytes[number % bytes.length]), 0), 0, 'it finds memory itself');
        if (number % 20 === 0) askHot(false);
      }
      assert.ok(lost <= hotNames * 0.05, `${lost} of ${hotNames} hot names were lost`);
    });
  }

  it('large answers have a quarter of the memory, and those that are asked stay', () => {
    const cache = new Cache(new Blocks(cacheMemory(), hashKey()));
    const store = cache.newStore({ successEntriesMax: 100_000, denialEntriesMax: 10 });
    const asked = Array.from({ length: 20 }, (_, number) => cache.keep(store, large(number, 60_000), 0));
    for (let number = 20; number < 1_200; number++) {
      cache.keep(store, large(number, 60_000), 0);
      for (const ref of asked) cache.blocks.touch(ref, 0, 1_000);
      assert.ok(cache.usedBytes <= cacheBytesLeast * largeBlocksShare);
    }
    assert.ok(cache.usedBytes > cacheBytesLeast * largeBlocksShare * 0.8);
    assert.equal(asked.filter((ref) => cache.holds(ref)).length, asked.length);
  });
});

/** An answer to a name of its own that takes so many bytes. */
function large(number: number, bytes: number): Keep {
  const query = queryFor(`large-${number}.test`);
  const message = textAnswer(query, query.length, bytes - 200);
  const { length } = message;
  const facts = { ...answerFor('a.test'), message, messageBytes: length, questionEnd: query.length };
  return { ...facts, ttlOffsets: Uint16Array.of(query.length + 6), records: 1 };
}
