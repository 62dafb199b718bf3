/**
 * /top: the most active clients and the most frequent names. Two sketches over the last minutes, fed with sampled packets,
 * or with every packet while there are few, which makes small counts exact; no labels of a metric, whose number clients could raise without bound. Two windows overlap by half; the page shows the
 * older one, which is then replaced, so that it is recent and never nearly empty.
 */
import { typeName, wireToName } from '../dns/names.js';
import { u16 } from '../dns/wire.js';
import { samplePackets, topCountersMax, topShownMax, topWindowMs } from '../limits.js';
import type { Clock } from '../os/clock.js';
import type { Asked, HttpAnswer } from './http.js';

class Window {
  readonly names = new SpaceSaving(topCountersMax);
  readonly clients = new SpaceSaving(topCountersMax);
  samples = 0;
  /** Of all, those that were counted and not sampled. */
  counted = 0;

  constructor(readonly startedMs: number) {}

  add(question: string, client: string, packets: number): void {
    this.samples++;
    this.names.add(question, packets);
    this.clients.add(client, packets);
  }
}

interface TalkerCounts {
  readonly count: number;
  /** The part of it that may belong to others. */
  readonly tooManyAtMost: number;
  /** The 95 % interval of sampling; 0: every packet was counted. */
  readonly plusMinus: number;
}

export interface TopTalkers {
  /** ISO 8601, UTC. */
  readonly since: string;
  readonly seconds: number;
  readonly packets: number;
  readonly samples: number;
  readonly perSample: number;
  /** By the kernel, which tells names and not clients. */
  readonly counted: number;
  readonly names: readonly ({ readonly name: string; readonly type: string } & TalkerCounts)[];
  readonly clients: readonly ({ readonly client: string } & TalkerCounts)[];
}

export class Top {
  readonly #clock: Clock;
  #older: Window;
  #newer: Window;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#older = this.#newer = new Window(clock.nowMs());
  }

  /** A sampled query that represents `packets`; `question` is name and type in wire format, a character a byte. */
  seen(question: string, client: string, packets: number): void {
    this.#turn();
    this.#older.add(question, client, packets);
    if (this.#newer !== this.#older) this.#newer.add(question, client, packets);
  }

  /** Queries about this name that were counted one by one, by the kernel, which does not tell whose they were. */
  counted(question: string, packets: number): void {
    this.#turn();
    for (const window of new Set([this.#older, this.#newer])) {
      window.names.add(question, packets);
      window.counted += packets;
    }
  }

  /** For programs of this host only: names reveal what others do. */
  answer({ isLocal }: Asked): HttpAnswer {
    if (!isLocal) return { status: 403, body: 'only for programs on this node; connect from there.\n' };
    const { counted, perSample, ...page } = this.talkers(topShownMax);
    const sampled =
      perSample === 1
        ? 'Every packet was counted.'
        : `One packet in ${perSample.toFixed(1)} was sampled and counts for all that it represents.`;
    const about =
      `${sampled} The true count is between count - tooManyAtMost and count, plus or minus plusMinus (95 %). Names and ` +
      `clients not listed have fewer queries than the last one listed, or fewer than packets / ${topCountersMax}.` +
      (counted === 0 ? '' : ` The kernel has answered ${counted}, which are in names only.`);
    const body = `${JSON.stringify({ about, ...page }, null, 1)}\n`;
    return { status: 200, body, contentType: 'application/json' };
  }

  /** The most frequent names and most active clients of the last minutes, at most `countMax` of each. */
  talkers(countMax: number): TopTalkers {
    this.#turn();
    const { startedMs, samples, counted, names, clients } = this.#older;
    const seconds = (this.#clock.nowMs() - startedMs) / 1000;
    const perSample = samples === 0 ? samplePackets : (names.total - counted) / samples;
    const shown = (all: readonly CountedKey[]) =>
      all.map(({ key, count, over }) => ({
        key,
        count: Math.round(count),
        tooManyAtMost: Math.round(over),
        // About normal, with the variance of taking one in `perSample` at random: none if each was taken.
        plusMinus: Math.round(1.96 * Math.sqrt(count * (perSample - 1))),
      }));
    return {
      since: new Date(this.#clock.wallMs() - seconds * 1000).toISOString(),
      seconds: Math.round(seconds),
      packets: Math.round(names.total),
      samples,
      perSample,
      counted: Math.round(counted),
      names: shown(names.top(countMax)).map(({ key, ...counts }) => {
        const wire = Buffer.from(key, 'latin1');
        return { name: wireToName(wire, 0), type: typeName(u16(wire, wire.length - 2)), ...counts };
      }),
      clients: shown(clients.top(countMax)).map(({ key: client, ...counts }) => ({ client, ...counts })),
    };
  }

  #turn(): void {
    const nowMs = this.#clock.nowMs();
    const ageMs = nowMs - this.#newer.startedMs;
    if (ageMs < topWindowMs / 2) return;
    const fresh = new Window(nowMs);
    this.#older = ageMs < topWindowMs ? this.#newer : fresh;
    this.#newer = fresh;
  }
}

interface CountedKey {
  readonly key: string;
  /** At least the sum of the key's weights. */
  readonly count: number;
  /** The part of it that may belong to other keys. */
  readonly over: number;
}

interface TopEntry {
  key: string;
  count: number;
  over: number;
  /** In the heap. */
  place: number;
}

/**
 * The most frequent of many keys in bounded memory: Space-Saving (Metwally, Agrawal, El Abbadi 2005), with weights. With N
 * in all, m counters hold every key that has more than N/m; a count is never too small, and too large by at most `over`,
 * which is at most N/m.
 */
export class SpaceSaving {
  readonly #byKey = new Map<string, TopEntry>();
  /** The smallest count first; each is no larger than those at 2i+1 and 2i+2. */
  readonly #heap: TopEntry[] = [];
  #total = 0;

  /** `countersMax` at least 1. */
  constructor(readonly countersMax: number) {}

  get total(): number {
    return this.#total;
  }

  /** `weight` is above 0. */
  add(key: string, weight: number): void {
    this.#total += weight;
    const known = this.#byKey.get(key);
    if (known !== undefined) return this.#raise(known, weight);
    if (this.#heap.length < this.countersMax) {
      const entry = { key, count: 0, over: 0, place: this.#heap.length };
      this.#byKey.set(key, entry);
      this.#heap.push(entry);
      this.#toFront(entry);
      return this.#raise(entry, weight);
    }
    // The new key replaces the rarest, whose count it may have had before.
    const [rarest] = this.#heap;
    this.#byKey.delete(rarest.key);
    this.#byKey.set(key, rarest);
    rarest.key = key;
    rarest.over = rarest.count;
    this.#raise(rarest, weight);
  }

  /** The most frequent keys. */
  top(countMax: number): CountedKey[] {
    return [...this.#heap]
      .sort((one, other) => other.count - one.count)
      .slice(0, countMax)
      .map(({ key, count, over }) => ({ key, count, over }));
  }

  /** For a new entry, whose count is 0. */
  #toFront(entry: TopEntry): void {
    for (let parent = (entry.place - 1) >> 1; entry.place > 0; parent = (entry.place - 1) >> 1) {
      this.#swap(entry, this.#heap[parent]);
    }
  }

  #raise(entry: TopEntry, weight: number): void {
    entry.count += weight;
    const heap = this.#heap;
    for (;;) {
      const left = 2 * entry.place + 1;
      if (left >= heap.length) return;
      const right = left + 1 < heap.length && heap[left + 1].count < heap[left].count ? left + 1 : left;
      if (heap[right].count >= entry.count) return;
      this.#swap(entry, heap[right]);
    }
  }

  #swap(one: TopEntry, other: TopEntry): void {
    const { place } = one;
    this.#heap[other.place] = one;
    this.#heap[place] = other;
    one.place = other.place;
    other.place = place;
  }
}
