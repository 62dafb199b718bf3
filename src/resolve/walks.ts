/**
 * Walks along a search path, and the question at their end. A stub resolver with `ndots:5` (glibc, musl, Go) asks for
 * `www.example.com` with each search domain in order, and last as it is:
 *
 *   www.example.com.default.svc.cluster.local   denied: a walk has begun
 *   www.example.com.svc.cluster.local           known to be denied by a cut
 *   www.example.com.cluster.local               known to be denied by a cut
 *   www.example.com                             asked now, so that the client finds it asked or answered
 *
 * Only where cuts say that the two steps between are denied too: `web.other` walked from `default` ends at
 * `web.other.svc.cluster.local`, and nobody outside is to hear of it. The same goes for `web.prod`, where `prod` exists in
 * one of the node's own search domains (search-domains.ts).
 */
import type { Blocks } from '../cache/blocks.js';
import type { Counters } from '../counters.js';
import { classIn, setU16, typeA, typeAaaa, u16 } from '../dns/wire.js';
import { askedAheadMax, askedAheadMs, cutSweepMs } from '../limits.js';
import type { Clock, Timer } from '../os/clock.js';
import { isSameLabel, mayCut, serviceLabel } from './cut.js';
import type { ExtraQuestions } from './extra-questions.js';
import {
  addressQuestion,
  findFor,
  inDomain,
  isDeniedNow,
  isFresh,
  joinedQuestion,
  keyOfCut,
  labelsBelow,
} from './learned-cuts.js';
import type { Route } from './route.js';
import type { SearchDomains } from './search-domains.js';
import { aaaaForward, mayAskAhead, type ServedZone } from './zones.js';

interface WalksDeps {
  readonly clock: Clock;
  readonly blocks: Blocks;
  readonly counters: Counters;
  readonly budget: ExtraQuestions;
  readonly routes: { get(zone: ServedZone): Route | undefined };
  readonly domains: Pick<SearchDomains, 'all' | 'begun'>;
  /** Whether the name of this question for A turned out to exist. */
  exists(zone: ServedZone, question: Uint8Array): boolean;
  /** As for learned cuts. */
  ask(zone: ServedZone, question: Uint8Array): boolean;
}

/** A question that was asked for a client that has not asked it yet. */
interface Ahead {
  readonly zone: ServedZone;
  readonly question: Uint8Array;
  readonly askedAtMs: number;
}

export class Walks {
  readonly #deps: WalksDeps;
  /** By zone and question, the oldest first. */
  readonly #ahead = new Map<string, Ahead>();
  #sweeper: Timer | null = null;

  constructor(deps: WalksDeps) {
    this.#deps = deps;
  }

  /** A client's question in this zone is denied, by an upstream or a cut. Borrows it. */
  denied(zone: ServedZone, question: Uint8Array): void {
    const walk = zone.learnsCuts ? walkOf(zone, question) : null;
    if (walk === null) return;
    const { blocks, clock, counters, budget, routes, domains, exists, ask } = this.#deps;
    const nowMs = clock.nowMs();
    // The second step of a walk looks like a first one in a namespace `com`.
    if (isDeniedNow(blocks, zone, walk.namespace, nowMs)) return;
    counters.count('walksSeen');
    domains.begun(zone, walk.last, nowMs);
    if (!walk.between.every((step) => isDeniedNow(blocks, zone, step, nowMs))) return;
    for (const domain of domains.all) if (exists(domain.zone, inDomain(walk.top, domain))) return;
    const home = routes.get(zone)?.homeOf(walk.last) ?? null;
    if (home === null || !isAskedAhead(home, routes.get(home), u16(question, question.length - 4))) return;
    if (isFresh(blocks, home, walk.last, nowMs)) return;
    const key = keyOfCut(home, walk.last);
    if (this.#ahead.has(key) || this.#ahead.size >= askedAheadMax || !budget.spend(nowMs)) return;
    if (!ask(home, walk.last)) return;
    counters.count('walksAskedAhead');
    this.#ahead.set(key, { zone: home, question: walk.last, askedAtMs: nowMs });
    this.#sweeper ??= clock.every(cutSweepMs, () => this.#sweep());
  }

  /** A question is over, for which so many clients waited in the end. */
  answered(zone: ServedZone, question: Uint8Array, waiters: number): void {
    if (this.#ahead.size === 0 || waiters === 0) return;
    const key = keyOfCut(zone, question);
    if (this.#ahead.delete(key)) this.#wasUsed();
  }

  /** Forgets all: other zones may be served now. */
  clear(): void {
    this.#ahead.clear();
    this.#rest();
  }

  /** A question that a client has asked by itself meanwhile costs nothing extra. */
  #wasUsed(): void {
    this.#deps.counters.count('walksAheadUsed');
    this.#deps.budget.earn(1);
  }

  #sweep(): void {
    const { clock, blocks, counters } = this.#deps;
    const nowMs = clock.nowMs();
    for (const [key, { zone, question, askedAtMs }] of this.#ahead) {
      const ref = findFor(blocks, zone, question);
      const isUsed = ref !== 0 && blocks.wasHit(ref);
      if (!isUsed && nowMs < askedAtMs + askedAheadMs) continue;
      this.#ahead.delete(key);
      if (isUsed) this.#wasUsed();
      else counters.count('walksAheadInVain');
    }
    this.#rest();
  }

  #rest(): void {
    if (this.#ahead.size > 0) return;
    this.#sweeper?.stop();
    this.#sweeper = null;
  }
}

interface WalkSteps {
  /** Of the namespace that the first step is in. */
  readonly namespace: Uint8Array;
  /** The last label of the name itself. */
  readonly top: Uint8Array;
  /** The names whose denials deny the steps between the first and the last. */
  readonly between: readonly Uint8Array[];
  /** The question for the name itself, of the first step's type. */
  readonly last: Uint8Array;
}

/** What follows after this denied question: null unless it looks like the first step of a walk to an outside name. */
function walkOf(zone: ServedZone, question: Uint8Array): WalkSteps | null {
  const type = u16(question, question.length - 4);
  if ((type !== typeA && type !== typeAaaa) || u16(question, question.length - 2) !== classIn) return null;
  const labels = labelsBelow(zone, question);
  // Two labels of the name itself, a namespace, and `svc`.
  if (labels.length < 4) return null;
  const serviceAt = labels[labels.length - 1];
  if (!isSameLabel(question, serviceAt, serviceLabel)) return null;
  const namespaceAt = labels[labels.length - 2];
  const topAt = labels[labels.length - 3];
  const own = labels.slice(0, -2);
  if (own.some((at) => !mayCut(question, at))) return null;
  const top = question.subarray(topAt, namespaceAt);
  const ofDomain = [serviceAt, question.length - 4 - zone.wire.length].map((at) => joinedQuestion(top, question, at));
  const namespace = addressQuestion(question, namespaceAt, question.length - 4);
  return { namespace, top, between: ofDomain, last: nameQuestion(question, namespaceAt) };
}

/** The same type and class for the labels before `end`, in the client's spelling. */
function nameQuestion(question: Uint8Array, end: number): Uint8Array {
  const own = new Uint8Array(end + 5);
  own.set(question.subarray(0, end));
  setU16(own, end + 1, u16(question, question.length - 4));
  setU16(own, end + 3, u16(question, question.length - 2));
  return own;
}

/**
 * Whether the main thread may ask a question of this type in this zone before a client does: its answer is for all
 * clients, is kept, and no worker would ask the same at the same time.
 */
function isAskedAhead(home: ServedZone, route: Route | undefined, type: number): boolean {
  if (route === undefined || route.plan !== null || route.make !== null || route.asksOurselves) return false;
  if (!mayAskAhead(home)) return false;
  return type !== typeAaaa || (home.aaaa === aaaaForward && home.translation === null);
}
