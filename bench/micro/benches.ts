/**
 * The hot functions of a cached answer, one bench each: reading the packet, finding the block, and the whole spine
 * from packet to answer in the slot; and what the only writer of the cache does for a miss. A thousand names take turns, so that no branch or cache line learns one by heart.
 */

import { Blocks, cacheMemory } from '../../src/cache/blocks.js';
import { Cache } from '../../src/cache/cache.js';
import { Query, readQuery } from '../../src/dns/query.js';
import { headerBytes } from '../../src/limits.js';
import { answerNow, keyOf } from '../../src/resolve/fast-path.js';
import { answerFor } from '../../test/cache/answers.js';
import { hashKey } from '../../test/dns/hash-key.js';
import { fixture, query } from '../../test/resolve/context-fixture.js';
import type { MicroBench } from './measure.js';

const names = 1000;
const corefile = `. {
  cache {
    success 10000 3600
    denial 10000 3600
  }
  forward . 192.0.2.1
}
cluster.local {
  aaaa nodata
  cache 30
  forward . 192.0.2.1
}`;

/** The same with everything before the cache that threads see to by themselves. */
const busyCorefile = corefile.replace('aaaa nodata', 'local\n  nsid\n  loadbalance\n  dns64');

export const benches: readonly MicroBench[] = [
  { name: 'readQuery', make: () => reading(packetsOf('A')) },
  { name: 'readQuery with an OPT', make: () => reading(packetsOf('A', {})) },
  { name: 'Blocks.find', make: finding },
  { name: 'answerNow, a hit', make: () => answering(packetsOf('A')) },
  { name: 'a hit past four directives', make: () => answering(packetsOf('A'), busyCorefile) },
  { name: 'answerNow, a hit with an OPT', make: () => answering(packetsOf('A', {})) },
  { name: 'answerNow, AAAA by policy', make: () => answering(packetsOf('AAAA')) },
  { name: 'Cache.keep, a full store', make: keeping },
];

function packetsOf(type: string, edns?: Record<never, never>): Buffer[] {
  return Array.from({ length: names }, (_, number) => query(serviceName(number), type, edns));
}

function serviceName(number: number): string {
  return `svc-${number}.ns-${number % 20}.svc.cluster.local`;
}

function reading(packets: readonly Buffer[]): () => number {
  const next = inTurn(packets);
  const into = new Query();
  return () => {
    const packet = next();
    return readQuery(packet, packet.length, into) === 'ok' ? into.questionEnd : Number.NaN;
  };
}

function finding(): () => number {
  const { context, zoneId } = filledLane();
  const questions = packetsOf('A').map((packet) => {
    const read = new Query();
    readQuery(packet, packet.length, read);
    return { packet, end: read.questionEnd, key: keyOf(read) };
  });
  const next = inTurn(questions);
  return () => {
    const { packet, end, key } = next();
    const ref = context.blocks.find(packet, end, zoneId, key);
    return ref === 0 ? Number.NaN : 1;
  };
}

function answering(packets: readonly Buffer[], text = corefile): () => number {
  const { context, table } = filledLane(text);
  const next = inTurn(packets);
  return () => {
    const packet = next();
    const bytes = answerNow(context, table, packet, packet.length, 1_000);
    return bytes > 0 ? bytes : Number.NaN;
  };
}

/** Stores answers to names never asked before, each in place of another one. */
function keeping(): () => number {
  const entries = 100_000;
  const cache = new Cache(new Blocks(cacheMemory(), hashKey(7)));
  const store = cache.newStore({ successEntriesMax: entries, denialEntriesMax: 1 });
  const answer = answerFor('svc-0000000000.ns-1.svc.cluster.local', { lifetimeMs: 3_600_000 });
  const message = Uint8Array.from(answer.message);
  const lastDigit = headerBytes + 'svc-0000000000'.length;
  let number = 0;
  const keep = (): number => {
    for (let at = lastDigit, rest = number++; rest > 0; at--, rest = Math.floor(rest / 10))
      message[at] = 48 + (rest % 10);
    return cache.keep(store, { ...answer, message }, 1_000);
  };
  while (store.success.size < entries) keep();
  return () => (keep() === 0 || store.success.size !== entries ? Number.NaN : 1);
}

/** A context whose cache has an address for every name. */
function filledLane(text = corefile) {
  const { context, cache, listener, zone } = fixture(text, 'worker');
  const { zoneId } = zone('cluster.local.');
  const store = cache.newStore({ successEntriesMax: names, denialEntriesMax: names });
  for (let number = 0; number < names; number++) {
    cache.keep(store, answerFor(serviceName(number), { zoneId, lifetimeMs: 3_600_000 }), 0);
  }
  return { context, table: listener.table, zoneId };
}

/** One after the other, for ever. */
function inTurn<T>(values: readonly T[]): () => T {
  let at = 0;
  return () => {
    at = at + 1 === values.length ? 0 : at + 1;
    return values[at];
  };
}
