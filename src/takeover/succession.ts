/**
 * Which of several instances on one node serves: the newest. It joins the sockets of its predecessor, takes over its
 * cache and then its packets. The others stand by with a warm cache, and one of them serves when the serving one exits
 * or dies. The kernel alone redirects packets; this file makes sure that no instance exits with packets in its sockets,
 * and that only one considers the node its own.
 *
 *   starting ──takeOver──> serving ──a successor serves──> standing by ──it is gone──> serving
 */
import type { EventName } from '../counters.js';
import {
  drainDeadlineMs,
  handoverSilenceMs,
  handoverTransferMs,
  introductionTimeoutMs,
  keeperPeriodMs,
  lookShare,
  settleMs,
  silentPeriodsMax,
} from '../limits.js';
import type { Clock, Timer } from '../os/clock.js';
import type { Log } from '../os/log.js';
import type { Greeting, LocalSockets } from '../os/network.js';
import { toEach } from '../scheduling/each.js';
import {
  Hearing,
  type Introduction,
  type Layout,
  type LinkEvents,
  MeetingPlace,
  type MeetingPlaceDeps,
  type Message,
  messageFrame,
  PeerFrameReader,
  type PeerLink,
} from './protocol.js';

export interface SuccessionDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly sockets: LocalSockets;
  readonly path: string;
  readonly self: Omit<Introduction, 'clockMs'>;
  readonly seats: Seats;
  readonly warmth: Warmth;
  /** The packets, and the node's interface and rules, belong to us, with the cause, or to another instance. */
  owns(whose: TakingOver | 'another'): void;
}

const fetchPeriods = 5;

export type Role = 'starting' | 'serving' | 'standing by';

export class Succession {
  role: Role = 'starting';
  readonly #deps: SuccessionDeps;
  readonly #events: LinkEvents;
  /** The serving instance, while we start or stand by. */
  #up: PeerLink | null = null;
  /** Starting and standby instances, while we serve, oldest first. */
  readonly #down = new Set<PeerLink>();
  readonly #place: MeetingPlace;
  #keeper: Timer | null = null;
  readonly #departures: Departures;
  #isLeaving = false;
  #hasLeft = false;
  /** Periods without a message from the serving instance. */
  #silentPeriods = 0;
  #periods = 0;
  #lookAgainAtMs = 0;
  readonly #hearing: Hearing;
  #whenSucceeded: () => void = () => {};

  constructor(deps: SuccessionDeps) {
    this.#deps = deps;
    this.#events = {
      message: (message, link) => this.#said(message, link),
      entries: (chunk, link) => this.#entries(chunk, link),
      closed: (link) => this.#gone(link),
    };
    this.#hearing = new Hearing(deps.clock);
    this.#departures = new Departures(deps.seats);
    this.#place = new MeetingPlace(
      { ...deps, greeting: () => greetingOf(deps.seats) },
      this.#events,
      (link) => void this.#down.add(link),
    );
  }

  /** Looks for a serving instance; true when there is one whose sockets we join. Bounded by `introductionTimeoutMs`. */
  async begin(): Promise<boolean> {
    if (!this.#connect('successor')) return false;
    this.#deps.seats.share();
    const what = await this.#hearing.first(['welcome', 'closed'], introductionTimeoutMs);
    if (this.#place.isForeign) return false;
    if (what !== 'welcome') {
      this.#deps.log.warn('the serving instance does not answer: joining its sockets without its cache');
      this.#up?.close();
    }
    return true;
  }

  /** Takes over the predecessor's cache, then its packets; all our sockets are open. */
  async takeOver(): Promise<void> {
    if (this.#up !== null && !this.#deps.seats.areShared) this.#isForeign('on other addresses');
    if (this.#up !== null) await fetchCache(this.#up, this.#hearing, this.#deps);
    this.#serve('start');
    this.#keeper = this.#deps.clock.every(keeperPeriodMs, () => this.#keep());
  }

  /**
   * Prepares closing our sockets. `succeeded`: another instance has the packets and the node; `alone`: there is none.
   */
  async leave(): Promise<'succeeded' | 'alone'> {
    this.#isLeaving = true;
    if (this.role === 'serving') await this.#appoint();
    if (this.role !== 'standing by' || this.#up === null) return 'alone';
    this.#up.say({ type: 'leaving' });
    await this.#hearing.first(['go', 'closed'], handoverSilenceMs);
    return 'succeeded';
  }

  get audience(): number {
    return this.#down.size;
  }

  /** Called when another instance has taken over from us. */
  whenSucceeded(run: () => void): void {
    this.#whenSucceeded = run;
  }

  left(): void {
    this.#hasLeft = true;
    dropSockets(this.#deps.seats);
    this.#keeper?.stop();
    this.#place.leave();
    this.#up?.say({ type: 'left' });
    toEach([...this.#down, this.#up], (link) => link?.finish());
  }

  async #appoint(): Promise<void> {
    const all = [...this.#down].reverse();
    for (const link of all.filter(({ standsBy }) => standsBy)) {
      this.#deps.seats.look();
      link.say({ type: 'serve', layout: this.#deps.seats.layout() });
      if ((await this.#hearing.first(['serving'], handoverSilenceMs)) === 'serving') return;
    }
    // A starting instance is worth waiting for.
    if (all.some(({ standsBy }) => !standsBy)) await this.#hearing.first(['serving'], drainDeadlineMs);
  }

  #said(message: Message, link: PeerLink): void {
    if (link === this.#up) this.#silentPeriods = 0;
    switch (message.type) {
      case 'hello':
        return this.#introduced(message, link);
      case 'welcome':
        return link === this.#up ? this.#welcomed(message, link) : undefined;
      case 'give':
        return link.sendEntries(this.#deps.warmth.everything(), () => link.say({ type: 'given' }));
      case 'serving':
        if (link !== this.#up || this.role !== 'standing by') this.#succeededBy(link);
        break;
      case 'serve':
        if (link !== this.#up || this.role !== 'standing by') return;
        this.#deps.seats.learn(message.layout);
        return this.#serve('left');
      case 'leaving':
        return this.role === 'serving' ? this.#departures.asks(link) : link.finish();
      case 'left':
        return this.#departures.over(link);
    }
    this.#hearing.heard(message.type);
  }

  #introduced(introduction: Introduction & { readonly as: 'successor' | 'stand-by' }, link: PeerLink): void {
    const { clock, self, seats } = this.#deps;
    link.peer = introduction;
    link.standsBy = introduction.as === 'stand-by';
    seats.share();
    seats.look();
    link.say({ type: 'welcome', ...self, clockMs: clock.nowMs(), layout: seats.layout() });
    if (introduction.network !== self.network) link.finish();
  }

  #welcomed(introduction: Introduction & { readonly layout: Layout }, link: PeerLink): void {
    const { self, seats } = this.#deps;
    if (introduction.network !== self.network) {
      return this.#isForeign('of another network namespace');
    }
    link.peer = introduction;
    if (this.role === 'starting') seats.learn(introduction.layout);
    // Another instance has the path, so it is newer.
    if (this.role === 'serving') this.#succeededBy(link);
    this.#hearing.heard('welcome');
  }

  #isForeign(how: string): void {
    this.#deps.log.error(`${this.#deps.path} belongs to an instance ${how}; give this one another -handover`);
    this.#place.isForeign = true;
    this.#up?.close();
  }

  #entries(chunk: Uint8Array, link: PeerLink): void {
    if (link !== this.#up) return;
    this.#silentPeriods = 0;
    if (!this.#deps.warmth.take(chunk)) return link.close();
    this.#hearing.heard('entries');
    // The sender may answer on this processor meanwhile.
    this.#deps.clock.rest();
  }

  #succeededBy(link: PeerLink): void {
    const { seats, log, owns } = this.#deps;
    this.role = 'standing by';
    seats.steer('away');
    this.#down.delete(link);
    if (this.#up !== link) this.#up?.finish();
    this.#up = link;
    this.#silentPeriods = 0;
    this.#departures.forget();
    this.#place.leave();
    // They find the new instance at the path.
    toEach(this.#down, (other) => other.finish());
    fetchSockets(this.#deps);
    log.info('another instance serves now; this instance is standby', link.about);
    owns('another');
    this.#whenSucceeded();
  }

  #serve(how: TakingOver): void {
    const { seats, log, owns } = this.#deps;
    const before = this.#up;
    this.#up = null;
    if (how === 'silent') before?.close();
    this.role = 'serving';
    seats.look();
    seats.steer('all');
    seats.inherit();
    this.#place.take();
    const { level, sentence } = takingOver[how];
    if (before !== null || how === 'gone') log[level](sentence, before?.about);
    if (before !== null && how !== 'silent') {
      this.#down.add(before);
      before.standsBy = true;
      before.say({ type: 'serving' });
    }
    owns(how);
  }

  #gone(link: PeerLink): void {
    if (link !== this.#up) {
      this.#down.delete(link);
      this.#departures.over(link);
      if (this.role === 'serving' && !this.#hasLeft) this.#deps.seats.look();
      return;
    }
    this.#up = null;
    this.#hearing.heard('closed');
    if (this.#isLeaving || this.role === 'starting') return;
    if (this.role === 'serving') this.#place.take();
    else this.#findAnother();
  }

  #findAnother(): void {
    if (!this.#connect('stand-by')) this.#serve('gone');
  }

  #keep(): void {
    if (this.role === 'serving') return this.#keepServing();
    this.#silentPeriods++;
    if (++this.#periods % fetchPeriods === 0 || !this.#deps.seats.isHolding) fetchSockets(this.#deps);
    if (this.#up === null) this.#findAnother();
    else if (this.#silentPeriods > silentPeriodsMax) this.#serve('silent');
  }

  #keepServing(): void {
    const { warmth } = this.#deps;
    if (!this.#place.isOurs && this.#up === null && !this.#connect('stand-by')) this.#place.take();
    this.#lookWhoIsThere();
    const news = warmth.news();
    toEach(this.#down, (link) => {
      if (!link.standsBy) return;
      link.say({ type: 'serving' });
      link.sendEntries(news());
    });
  }

  /** Standbys may change their sockets in a reload. Slow looks are made less often. */
  #lookWhoIsThere(): void {
    const { clock, seats } = this.#deps;
    const beganAtMs = clock.nowMs();
    if (!seats.areShared || beganAtMs < this.#lookAgainAtMs) return;
    seats.look();
    const tookMs = clock.nowMs() - beganAtMs;
    this.#lookAgainAtMs = beganAtMs + tookMs / lookShare;
  }

  #connect(as: 'successor' | 'stand-by'): boolean {
    this.#up = this.#place.connect(as);
    this.#silentPeriods = 0;
    return this.#up !== null;
  }
}

interface Seats {
  share(): void;
  learn(layout: Layout): void;
  layout(): Layout;
  readonly areShared: boolean;
  steer(how: 'away' | 'all' | 'one'): void;
  look(): void;
  offer(): Offered;
  hold(offered: Offered): void;
  readonly isHolding: boolean;
  inherit(): void;
}

export interface Offered {
  readonly groups: readonly string[];
  readonly descriptors: readonly number[];
}

export interface Warmth {
  everything(): Iterator<Uint8Array>;
  /** All that was stored or ended since the last call, for any number of readers. */
  news(): () => Iterator<Uint8Array>;
  /** Takes valid entries; false for a broken chunk. Their times are `laterMs` before ours. */
  take(chunk: Uint8Array, laterMs?: number): boolean;
}

export class Departures {
  readonly #seats: Pick<Seats, 'look' | 'steer'>;
  /** The first may close its sockets. */
  readonly #leavers: PeerLink[] = [];

  constructor(seats: Pick<Seats, 'look' | 'steer'>) {
    this.#seats = seats;
  }

  asks(link: PeerLink): void {
    this.#leavers.push(link);
    if (this.#leavers.length === 1) this.#letGo();
  }

  over(link: PeerLink): void {
    const place = this.#leavers.indexOf(link);
    if (place < 0) return;
    this.#leavers.splice(place, 1);
    if (place > 0) return;
    if (this.#leavers.length > 0) return this.#letGo();
    this.#seats.look();
    this.#seats.steer('all');
  }

  forget(): void {
    this.#leavers.length = 0;
  }

  #letGo(): void {
    this.#seats.look();
    this.#seats.steer('one');
    this.#leavers[0].say({ type: 'go' });
  }
}

interface InheritanceDeps {
  readonly clock: Clock;
  readonly sockets: LocalSockets;
  readonly path: string;
  readonly seats: Pick<Seats, 'hold' | 'offer'>;
}

export function greetingOf(seats: Pick<Seats, 'offer'>): Greeting {
  const { groups, descriptors } = seats.offer();
  return { bytes: messageFrame({ type: 'sockets', groups }), descriptors };
}

/** Holds copies of the serving instance's sockets in place of earlier ones. */
export function fetchSockets({ clock, sockets, path, seats }: InheritanceDeps): void {
  const giveUp = sockets.fetch(path, ({ bytes, descriptors }) => {
    late.stop();
    const [frame] = new PeerFrameReader().read(bytes) ?? [];
    const groups = frame?.kind === 'message' && frame.message.type === 'sockets' ? frame.message.groups : [];
    seats.hold({ groups, descriptors });
  });
  const late = clock.after(introductionTimeoutMs, giveUp);
}

/** Asks the predecessor for its cache and waits, up to a bound. */
export async function fetchCache(
  before: PeerLink,
  hearing: Hearing,
  { clock, log, self }: Pick<MeetingPlaceDeps, 'clock' | 'log' | 'self'>,
): Promise<void> {
  const { entriesFormat, clockMs } = before.peer!;
  if (entriesFormat !== self.entriesFormat || Math.abs(clock.nowMs() - clockMs) > handoverTransferMs) {
    return log.info('cache handover skipped: incompatible version or clock');
  }
  before.say({ type: 'give' });
  const what = await hearing.first(['given', 'closed'], handoverSilenceMs, handoverTransferMs);
  if (what !== 'given') log.warn('cache handover incomplete: the predecessor was too slow or closed the connection');
}

export function dropSockets(seats: Pick<Seats, 'hold'>): void {
  seats.hold({ groups: [], descriptors: [] });
}

interface Telling {
  readonly level: Exclude<keyof Log, 'debug'>;
  readonly sentence: string;
  readonly event: EventName;
}

export const takingOver = {
  /** Just started, alone or beside a serving instance. */
  start: { level: 'info', sentence: 'this instance receives packets now', event: 'takeoverStart' },
  /** A standby whose serving instance exits in order. */
  left: {
    level: 'info',
    sentence: 'the serving instance is exiting: this instance receives packets now',
    event: 'takeoverLeft',
  },
  /** A standby whose serving instance died. */
  gone: {
    level: 'warn',
    sentence: 'the serving instance is gone: this instance receives packets now',
    event: 'takeoverGone',
  },
  /** A standby whose serving instance hangs. */
  silent: {
    level: 'warn',
    sentence: 'the serving instance is silent: this instance receives packets now',
    event: 'takeoverSilent',
  },
} as const satisfies Readonly<Record<string, Telling>>;

export type TakingOver = keyof typeof takingOver;

/** Resolves when the sockets may be emptied and closed; early when a successor takes over during `lameduckMs`. */
export async function stopCalling(
  clock: Clock,
  succession: Pick<Succession, 'leave' | 'whenSucceeded' | 'role'> | null,
  lameduckMs: number,
): Promise<void> {
  let left = (await succession?.leave()) ?? 'alone';
  if (left === 'alone') {
    await new Promise<void>((resolve) => {
      clock.after(lameduckMs, resolve);
      succession?.whenSucceeded(resolve);
    });
    if (succession?.role === 'standing by') left = await succession.leave();
  }
  if (left === 'succeeded') await new Promise<void>((resolve) => clock.after(settleMs, resolve));
}
