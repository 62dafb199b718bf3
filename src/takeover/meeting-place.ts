/**
 * The path at which instances on a node find each other: whoever serves listens there, in place of the one before,
 * and the others connect. A path that cannot be used costs the hand-over and nothing else.
 */
import { handoverPeersMax, introductionTimeoutMs } from '../limits.js';
import type { Clock } from '../os/clock.js';
import type { Log } from '../os/log.js';
import type { Greeting, LocalListener, LocalSockets, Stream, StreamEvents } from '../os/network.js';
import { Link, type LinkEvents } from './link.js';
import type { Introduction } from './messages.js';

export interface MeetingPlaceDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly sockets: LocalSockets;
  readonly path: string;
  readonly self: Omit<Introduction, 'clockMs'>;
  /** Said to whoever connects. */
  readonly greeting: () => Greeting;
}

const rejected: StreamEvents = { data() {}, ended() {}, closed() {} };

export class MeetingPlace {
  /** Somebody is there with whom we have nothing to do. */
  isForeign = false;
  readonly #deps: MeetingPlaceDeps;
  readonly #events: LinkEvents;
  readonly #accepted: (link: Link) => void;
  /** Accepted, and not gone yet. */
  #peers = 0;
  #listener: LocalListener | null = null;
  #hasComplained = false;

  constructor(deps: MeetingPlaceDeps, events: LinkEvents, accepted: (link: Link) => void) {
    this.#deps = deps;
    this.#accepted = accepted;
    this.#events = events;
  }

  /** Whether who comes there finds us. */
  get isOurs(): boolean {
    return this.#listener?.isInPlace() === true;
  }

  /** Listens there, in place of whoever did. */
  take(): void {
    this.leave();
    if (this.isForeign) return;
    const { sockets, path } = this.#deps;
    const { listener, why } = sockets.listen(path, (stream) => this.#accept(stream), this.#deps.greeting);
    this.#listener = listener;
    if (why !== null) this.#complain(`handover unavailable, a successor cannot find this instance: ${why}`);
  }

  leave(): void {
    this.#listener?.close();
    this.#listener = null;
  }

  /** Connects to who is there, and says who we are; null when nobody is. */
  connect(as: 'successor' | 'stand-by'): Link | null {
    if (this.isForeign) return null;
    const { clock, path, self, sockets } = this.#deps;
    const link = new Link(clock, this.#events);
    const { stream, why } = sockets.connect(path, link.events);
    if (why !== null) this.#complain(`not using the handover socket ${path}: ${why}`);
    if (stream === null) return null;
    link.use(stream).say({ type: 'hello', as, ...self, clockMs: clock.nowMs() });
    this.#mustBeIntroduced(link);
    return link;
  }

  #accept(stream: Stream): StreamEvents {
    if (this.#peers >= handoverPeersMax) {
      stream.destroy();
      return rejected;
    }
    this.#peers++;
    const closed = (gone: Link): void => {
      this.#peers--;
      this.#events.closed(gone);
    };
    const link = new Link(this.#deps.clock, { ...this.#events, closed }).use(stream);
    this.#accepted(link);
    this.#mustBeIntroduced(link);
    return link.events;
  }

  #mustBeIntroduced(link: Link): void {
    this.#deps.clock.after(introductionTimeoutMs, () => {
      if (link.peer === null) link.close();
    });
  }

  /** Once: it is tried again every second. */
  #complain(text: string): void {
    if (!this.#hasComplained) this.#deps.log.warn(text);
    this.#hasComplained = true;
  }
}
