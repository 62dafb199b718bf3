/** Stored answers for the tests of the cache, made by dns-packet and the normaliser. */
import packets from 'dns-packet';
import type { Keep } from '../../src/cache/blocks.js';
import { type Kind, kindSuccess } from '../../src/cache/blocks.js';
import { Normaliser } from '../../src/dns/normalise.js';
import { hashKey } from '../dns/hash-key.js';

const normaliser = new Normaliser(hashKey());

export interface AnswerOptions {
  readonly kind?: Kind;
  readonly zoneId?: number;
  readonly key?: number;
  readonly lifetimeMs?: number;
  readonly data?: string;
  /** How many address records. */
  readonly records?: number;
}

/** What `Cache.keep` takes for an A answer of this name; valid until the next call. */
export function answerFor(name: string, options: AnswerOptions = {}): Keep {
  const { kind = kindSuccess, zoneId = 1, key = 0, lifetimeMs = 30_000, data = '192.0.2.1', records = 1 } = options;
  const answers = Array.from({ length: records }, () => ({ name, type: 'A' as const, ttl: lifetimeMs / 1000, data }));
  const message = packets.encode({ type: 'response', id: 1, questions: [{ name, type: 'A', class: 'IN' }], answers });
  if (!normaliser.read(message)) throw new Error(`no message for ${name}`);
  return { ...normaliser.out, kind, zoneId, key, lifetimeMs };
}

/** A query packet for the same question. */
export function queryFor(name: string, extra: Partial<packets.Packet> = {}): Buffer {
  return packets.encode({
    type: 'query',
    id: 2,
    flags: 0x100,
    questions: [{ name, type: 'A', class: 'IN' }],
    ...extra,
  });
}

/** Does work that the program does in slices. */
export function finishNow(slices: Generator<void, unknown>): void {
  while (slices.next().done !== true);
}
