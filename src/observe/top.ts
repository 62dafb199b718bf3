/**
 * Who asks most, and for what: /top. Two sketches over the last minutes, fed with samples of the packets; never
 * labels of a metric, which clients could make as many as they like. Two windows overlap by half; the page
 * shows the older one, which is then replaced, so that it shows the present and never an empty beginning.
 */
import { typeName, wireToName } from '../dns/names.js';
import { u16 } from '../dns/wire.js';
import { samplePackets, topCountersMax, topShownMax, topWindowMs } from '../limits.js';
import type { Clock } from '../os/clock.js';
import type { Asked, HttpAnswer } from './http.js';
import { type Counted, SpaceSaving } from './space-saving.js';

class Window {
  readonly names = new SpaceSaving(topCountersMax);
  readonly clients = new SpaceSaving(topCountersMax);
  samples = 0;

  constructor(readonly startedMs: number) {}

  add(question: string, client: string, packets: number): void {
    this.samples++;
    this.names.add(question, packets);
    this.clients.add(client, packets);
  }
}

export class Top {
  readonly #clock: Clock;
  #older: Window;
  #newer: Window;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#older = this.#newer = new Window(clock.nowMs());
  }

  /** A sampled query that stands for so many packets; `question` is name and type on the wire, a character a byte. */
  seen(question: string, client: string, packets: number): void {
    this.#turn();
    this.#older.add(question, client, packets);
    if (this.#newer !== this.#older) this.#newer.add(question, client, packets);
  }

  /** For programs of this host alone: names tell what others do. */
  answer({ isLocal }: Asked): HttpAnswer {
    if (!isLocal) return { status: 403, body: 'only for programs on this node; connect from there.\n' };
    this.#turn();
    const { startedMs, samples, names, clients } = this.#older;
    const seconds = (this.#clock.nowMs() - startedMs) / 1000;
    const perSample = samples === 0 ? samplePackets : names.total / samples;
    const shown = (counted: readonly Counted[]) =>
      counted.map(({ key, count, over }) => ({
        key,
        count: Math.round(count),
        tooManyAtMost: Math.round(over),
        // One in so many was looked at: about normal, with the variance of a Poisson count.
        plusMinus: Math.round(1.96 * Math.sqrt(count * perSample)),
      }));
    const page = {
      about:
        `One packet in ${perSample.toFixed(1)} was sampled and counts for all that it represents. The true count is ` +
        'between count - tooManyAtMost and count, plus or minus plusMinus (95 %). Names and clients not listed have fewer ' +
        `queries than the last one listed, or fewer than packets / ${topCountersMax}.`,
      since: new Date(this.#clock.wallMs() - seconds * 1000).toISOString(),
      seconds: Math.round(seconds),
      packets: Math.round(names.total),
      samples,
      names: shown(names.top(topShownMax)).map(({ key, ...counts }) => {
        const wire = Buffer.from(key, 'latin1');
        return { name: wireToName(wire, 0), type: typeName(u16(wire, wire.length - 2)), ...counts };
      }),
      clients: shown(clients.top(topShownMax)).map(({ key: client, ...counts }) => ({ client, ...counts })),
    };
    return { status: 200, body: `${JSON.stringify(page, null, 1)}\n`, contentType: 'application/json' };
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
