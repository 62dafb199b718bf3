/**
 * The live page of a running cache: what `-page` serves. It samples as long as it runs; the numbers of the second are read
 * only while somebody looks.
 */
import { pageTickMs, pageTicksPerList } from '../limits.js';
import type { HttpAnswer, HttpRoutes } from '../observe/http.js';
import type { Clock, Timer } from '../os/clock.js';
import { RecentFailures } from './failures.js';
import { pageRoutes, plainAnswer } from './routes.js';
import { Sampler } from './sampler.js';
import { eventText, Streams } from './streams.js';
import { helloOf, listsOf, type PageSource, presentOf } from './view.js';

export interface Page {
  readonly routes: HttpRoutes;
  /** What failed is kept from the start on. */
  readonly failures: RecentFailures;
  /** Begins the history; later calls do nothing. */
  begin(source: PageSource): void;
  /** Ends the streams; pages get 503 after it. */
  stop(): void;
}

interface AtWork {
  readonly source: PageSource;
  readonly sampler: Sampler;
}

export function newPage(clock: Clock): Page {
  const failures = new RecentFailures(clock);
  let atWork: AtWork | null = null;
  let ticking: Timer | null = null;
  let ticks = 0;
  /** The last update, for pages that connect until the next. */
  let present = '';

  const streams = new Streams((open) => {
    if (open > 0) ticking ??= clock.every(pageTickMs, tick);
    if (open > 0 || ticking === null) return;
    ticking.stop();
    ticking = null;
    present = '';
  });

  function presentEvent({ source, sampler }: AtWork): string {
    return eventText('present', presentOf(source, sampler, clock.wallMs()));
  }

  function tick(): void {
    if (atWork === null) return;
    present = presentEvent(atWork);
    const isListsTurn = ++ticks % pageTicksPerList === 0;
    streams.send(isListsTurn ? present + eventText('lists', listsOf(atWork.source)) : present);
  }

  function events(method: string): HttpAnswer {
    if (atWork === null) return plainAnswer(503, 'the cache is starting or stopping; try again.\n');
    const stream = method === 'HEAD' ? undefined : streams.open();
    if (stream === null) return plainAnswer(503, 'too many pages are open; close one.\n');
    if (present === '') present = presentEvent(atWork);
    const { source, sampler } = atWork;
    const first = eventText('hello', helloOf(source, sampler)) + present + eventText('lists', listsOf(source));
    const whole = { status: 200, body: `retry: 1000\n\n${first}`, contentType: 'text/event-stream' };
    return stream === undefined ? whole : { ...whole, rest: stream };
  }

  return {
    routes: pageRoutes(({ method }) => events(method)),
    failures,
    begin(source) {
      atWork ??= { source, sampler: new Sampler(source, clock) };
    },
    stop() {
      streams.stop();
      atWork?.sampler.stop();
      atWork = null;
    },
  };
}
