/**
 * Cuts that nobody asked for. A client that walks its search path asks for names like
 * `www.example.com.default.svc.cluster.local`, whose denials say nothing about the next outside name. That of
 * `com.default.svc.cluster.local` does, for all names in `com`. So the main thread asks once for the highest name above a
 * denied one that may be denied itself, and refreshes the denial while it is in use.
 *
 *   denied ─> candidates from the zone down: known to exist? the next one. Denied? nothing to do. Unknown? ask
 *
 * A cut that has ended is remembered. The next query below it waits until its name has been asked again: one question in
 * place of all those of a walk. After a minute of that a query is asked itself again, and the cut beside it.
 *
 * What is asked is asked and cached as a refresh is; the table only remembers what to look at.
 */
import type { BlockRef, Blocks } from '../cache/blocks.js';
import type { Counters } from '../counters.js';
import { classIn, lower, rcodeNoError, rcodeNxDomain, sameName, setU16, typeA } from '../dns/wire.js';
import {
  cutExistsMs,
  cutRefreshMs,
  cutRememberedMs,
  cutSweepMs,
  cutTrustedMs,
  cutUsesForRefresh,
  headerBytes,
  learnedCutsMax,
  nameBytesMax,
  queryDeadlineCeilingMs,
} from '../limits.js';
import type { Clock, Timer } from '../os/clock.js';
import { isCutBy, isSameLabel, mayCut, podLabel, serviceLabel } from './cut.js';
import type { ExtraQuestions } from './extra-questions.js';
import type { SearchDomain, SearchDomains } from './search-domains.js';
import type { ServedZone } from './zones.js';

interface LearnedCutsDeps {
  readonly clock: Clock;
  readonly blocks: Blocks;
  readonly counters: Counters;
  readonly budget: ExtraQuestions;
  readonly domains: Pick<SearchDomains, 'all' | 'beginsAt'>;
  /** Asks for the cache alone; false: it is being asked, or there is no room. Keeps the question. */
  ask(zone: ServedZone, question: Uint8Array): boolean;
}

interface Learned {
  readonly zone: ServedZone;
  /** A of the name, in lower case. */
  readonly question: Uint8Array;
  /** The name whose denial led here; null when that is done with. */
  below: Uint8Array | null;
  askedAtMs: number;
  /** When a query below it led here, which was asked itself. */
  provenAtMs: number;
  wasDenied: boolean;
  /** Until then the name counts as existing; 0: it may be denied. */
  existsUntilMs: number;
}

interface Candidate {
  readonly question: Uint8Array;
  /** It may be one, which exists. */
  readonly isNamespace: boolean;
}

/** Candidates, from the zone down: `default.svc`, then `com.default.svc`. */
const candidatesMax = 2;

export class LearnedCuts {
  readonly #deps: LearnedCutsDeps;
  /** By zone and name, the oldest first. */
  readonly #learned = new Map<string, Learned>();
  #sweeper: Timer | null = null;

  constructor(deps: LearnedCutsDeps) {
    this.#deps = deps;
  }

  /** Cuts in force among those learned. */
  get held(): number {
    const nowMs = this.#deps.clock.nowMs();
    let held = 0;
    for (const { zone, question } of this.#learned.values())
      if (isDeniedNow(this.#deps.blocks, zone, question, nowMs)) held++;
    return held;
  }

  /** An upstream has denied this question of a client. Borrows it. */
  denied(zone: ServedZone, question: Uint8Array): void {
    const { blocks, clock } = this.#deps;
    const nowMs = clock.nowMs();
    const candidates = this.#candidatesOf(zone, question);
    if (candidates.length === 0 || !this.#mayBeOutside(zone, question, nowMs)) return;
    for (const [index, { question: candidate }] of candidates.entries()) {
      const known = this.#learned.get(keyOfCut(zone, candidate));
      if (known !== undefined && nowMs < known.existsUntilMs) continue;
      const ref = findFor(blocks, zone, candidate);
      if (ref !== 0 && isCutBy(blocks, ref, nowMs)) return;
      if (ref !== 0 && nowMs < blocks.expiresAtMs(ref)) continue;
      if (index + 1 < candidates.length && this.#isOfWalk(zone, candidates[index + 1].question, nowMs)) continue;
      return this.#learn(zone, candidate, question, nowMs);
    }
  }

  /** A client's question has an answer: names above it are not asked about, as their denials would be untrue. */
  exists(zone: ServedZone, question: Uint8Array): void {
    const nowMs = this.#deps.clock.nowMs();
    const known = { below: null, askedAtMs: 0, provenAtMs: 0, wasDenied: false, existsUntilMs: nowMs + cutExistsMs };
    for (const candidate of this.#candidatesOf(zone, question)) {
      this.#remember({ zone, question: candidate.question, ...known });
    }
  }

  /** Whether the name of this question for A turned out to exist, not long ago. */
  isKnownToExist(zone: ServedZone, question: Uint8Array): boolean {
    const known = this.#learned.get(keyOfCut(zone, question));
    return known !== undefined && this.#deps.clock.nowMs() < known.existsUntilMs;
  }

  /**
   * A client's question has missed. Asks for what is above it where that was denied before. Returns the question for the
   * name above that is being asked and whose denial would be the client's answer; null: the client's is to be asked itself.
   * Borrows the question.
   */
  missed(zone: ServedZone, question: Uint8Array): Uint8Array | null {
    if (this.#learned.size === 0) return null;
    const { blocks, clock } = this.#deps;
    const nowMs = clock.nowMs();
    for (const [index, { question: candidate, isNamespace }] of this.#candidatesOf(zone, question).entries()) {
      const known = this.#learned.get(keyOfCut(zone, candidate));
      if ((known !== undefined && nowMs < known.existsUntilMs) || isFresh(blocks, zone, candidate, nowMs)) continue;
      // A namespace that is asked about for the first time exists most probably.
      if (known !== undefined && isAsked(known, nowMs)) return known.wasDenied || !isNamespace ? candidate : null;
      if (known?.wasDenied && nowMs < known.provenAtMs + cutTrustedMs) {
        this.#renew(known, nowMs);
        this.#renewNext(zone, candidate, nowMs);
        return candidate;
      }
      if (!known?.wasDenied && (index === 0 || !this.#isOfWalk(zone, candidate, nowMs))) continue;
      this.#learn(zone, candidate, question, nowMs);
      return null;
    }
    return null;
  }

  /**
   * A question has an answer with this rcode, or null: none. Goes on with the next candidate if the question is ours and
   * its name exists.
   */
  answered(zone: ServedZone, question: Uint8Array, rcode: number | null): void {
    if (!zone.isCut || this.#learned.size === 0) return;
    const learned = this.#learned.get(keyOfCut(zone, question));
    if (learned === undefined) return;
    const { below } = learned;
    learned.below = null;
    if (rcode === rcodeNxDomain) {
      learned.wasDenied = true;
      return below === null ? undefined : this.#learnNext(zone, question);
    }
    learned.existsUntilMs = this.#deps.clock.nowMs() + (rcode === rcodeNoError ? cutExistsMs : queryDeadlineCeilingMs);
    if (rcode !== rcodeNoError) return;
    learned.wasDenied = false;
    if (below !== null) this.denied(zone, below);
  }

  /** Forgets all: other zones may be served now. */
  clear(): void {
    this.#learned.clear();
    this.#rest();
  }

  /** Behind `com.svc` a walk comes to `com`. */
  #learnNext(zone: ServedZone, question: Uint8Array): void {
    const { blocks, clock } = this.#deps;
    const labels = zone.learnsCuts ? labelsBelow(zone, question) : [];
    if (labels.length !== 2 || !isSameLabel(question, labels[1], serviceLabel)) return;
    const nowMs = clock.nowMs();
    const next = joinedQuestion(question.subarray(0, labels[1]), question, labels[1] + serviceLabel.length);
    const known = this.#learned.get(keyOfCut(zone, next));
    if ((known !== undefined && nowMs < known.existsUntilMs) || isFresh(blocks, zone, next, nowMs)) return;
    this.#learn(zone, next, question, nowMs);
  }

  #learn(zone: ServedZone, candidate: Uint8Array, below: Uint8Array, nowMs: number): void {
    const { budget, counters, ask } = this.#deps;
    const key = keyOfCut(zone, candidate);
    const known = this.#learned.get(key);
    // It is being asked, or has no answer.
    if (known !== undefined && isAsked(known, nowMs)) return;
    if (!budget.spend(nowMs)) return counters.count('cutsDenied');
    this.#remember({
      zone,
      question: candidate,
      below: Uint8Array.from(below),
      askedAtMs: nowMs,
      provenAtMs: nowMs,
      wasDenied: known?.wasDenied === true,
      existsUntilMs: 0,
    });
    if (ask(zone, candidate)) counters.count('cutsAsked');
    else this.#learned.delete(key);
  }

  /** Asks again for a cut that has ended, unless that is being done. */
  #renew(learned: Learned, nowMs: number): void {
    learned.askedAtMs = nowMs;
    learned.existsUntilMs = 0;
    this.#remember(learned);
    if (this.#deps.ask(learned.zone, learned.question)) this.#deps.counters.count('cutsRefreshed');
  }

  /** Behind `com.default.svc` a walk comes to `com.svc`, behind that to `com`, and then to the node's search domains. */
  #renewNext(zone: ServedZone, question: Uint8Array, nowMs: number): void {
    const [topAt, nextAt, ...others] = labelsBelow(zone, question);
    const top = question.subarray(topAt, nextAt);
    for (const at of [...others, question.length - 4 - zone.wire.length]) {
      this.#renewEnded(zone, joinedQuestion(top, question, at), nowMs);
    }
    for (const domain of this.#deps.domains.all) {
      this.#renewEnded(domain.zone, inDomain(top, domain), nowMs);
    }
  }

  #renewEnded(zone: ServedZone, question: Uint8Array, nowMs: number): void {
    const { blocks, budget } = this.#deps;
    const known = this.#learned.get(keyOfCut(zone, question));
    if (!known?.wasDenied || nowMs >= known.provenAtMs + cutTrustedMs || isFresh(blocks, zone, question, nowMs)) return;
    if (budget.spend(nowMs)) this.#renew(known, nowMs);
  }

  /** Names above this question's that may be denied, the highest first. */
  #candidatesOf(zone: ServedZone, question: Uint8Array): Candidate[] {
    if (!zone.isCut) return [];
    const domainAt = this.#deps.domains.beginsAt(zone, question);
    if (domainAt < 0) return zone.learnsCuts ? cutCandidatesOf(zone, question) : [];
    const topAt = labelsBelow(zone, question).findLast((at) => at < domainAt) ?? 0;
    if (topAt === 0 || !mayCut(question, topAt)) return [];
    return [{ question: addressQuestion(question, topAt, question.length - 4), isNamespace: false }];
  }

  /**
   * Whether what is denied may be an outside name with a search domain. Right below the zone a cluster DNS may have names
   * by other rules, mostly for namespaces (`web.prod` for `web.prod.svc`), so there `prod.svc` has to be denied.
   */
  #mayBeOutside(zone: ServedZone, question: Uint8Array, nowMs: number): boolean {
    const { blocks, domains } = this.#deps;
    if (domains.beginsAt(zone, question) >= 0) return true;
    const last = labelsBelow(zone, question).at(-1);
    if (last === undefined || isSameLabel(question, last, serviceLabel)) return true;
    const zoneAt = question.length - 4 - zone.wire.length;
    const top = question.subarray(last, zoneAt);
    const inService = joinedQuestion(Buffer.concat([top, serviceLabel]), question, zoneAt);
    return isDeniedNow(blocks, zone, inService, nowMs);
  }

  /**
   * Whether `com.default.svc` is of a walk's first step: `com.svc`, from another walk's second, is denied, or was. Then
   * `default` is a namespace, which need not be asked about.
   */
  #isOfWalk(zone: ServedZone, candidate: Uint8Array, nowMs: number): boolean {
    const [topAt, namespaceAt, serviceAt] = labelsBelow(zone, candidate);
    const second = joinedQuestion(candidate.subarray(topAt, namespaceAt), candidate, serviceAt);
    const known = this.#learned.get(keyOfCut(zone, second));
    return known?.wasDenied === true || isDeniedNow(this.#deps.blocks, zone, second, nowMs);
  }

  /** As the youngest. */
  #remember(learned: Learned): void {
    const key = keyOfCut(learned.zone, learned.question);
    this.#learned.delete(key);
    for (const [oldest] of this.#learned) {
      if (this.#learned.size < learnedCutsMax) break;
      this.#learned.delete(oldest);
    }
    this.#learned.set(key, learned);
    if (learned.existsUntilMs === 0) this.#sweeper ??= this.#deps.clock.every(cutSweepMs, () => this.#sweep());
  }

  /** Refreshes the cuts that are in use and about to end; forgets those that have ended long ago. */
  #sweep(): void {
    const nowMs = this.#deps.clock.nowMs();
    let isQuiet = true;
    for (const [key, learned] of this.#learned) {
      if (nowMs < learned.existsUntilMs) continue;
      if (isAsked(learned, nowMs) || this.#refreshed(learned, nowMs)) isQuiet = false;
      else if (!learned.wasDenied || nowMs >= learned.askedAtMs + cutRememberedMs) this.#learned.delete(key);
    }
    // What exists, or is no cut any more, needs no timer: it is looked at when it is needed.
    if (isQuiet) this.#rest();
  }

  /** Whether the cut is in force; it is refreshed if that is due. */
  #refreshed(learned: Learned, nowMs: number): boolean {
    const { blocks, budget, counters, ask } = this.#deps;
    const { zone, question, provenAtMs, askedAtMs } = learned;
    const ref = findFor(blocks, zone, question);
    if (ref === 0 || !isCutBy(blocks, ref, nowMs)) return false;
    const isDue = blocks.expiresAtMs(ref) - nowMs <= cutRefreshMs && nowMs >= askedAtMs + cutRefreshMs;
    if (!isDue || blocks.hits(ref) < cutUsesForRefresh || nowMs >= provenAtMs + cutTrustedMs) return true;
    if (!budget.spend(nowMs)) counters.count('cutsDenied');
    else if (ask(zone, question)) counters.count('cutsRefreshed');
    learned.askedAtMs = nowMs;
    return true;
  }

  #rest(): void {
    this.#sweeper?.stop();
    this.#sweeper = null;
  }
}

/** Whether it is asked about for the first time, or again, on behalf of a query below it. */
function isAsked({ below, askedAtMs }: Learned, nowMs: number): boolean {
  return below !== null && nowMs < askedAtMs + queryDeadlineCeilingMs;
}

/** The same with the cluster's search domains. */
function cutCandidatesOf(zone: ServedZone, question: Uint8Array): Candidate[] {
  const labels = labelsBelow(zone, question);
  const last = labels.length - 1;
  if (last < 1) return [];
  const isService = isSameLabel(question, labels[last], serviceLabel);
  if (isSameLabel(question, labels[last], podLabel)) return [];
  const first = isService ? last - 1 : last;
  const candidates: Candidate[] = [];
  for (let label = first; label >= 1 && candidates.length < (isService ? candidatesMax : 1); label--) {
    if (!mayCut(question, labels[label])) break;
    const isNamespace = isService && label === first;
    candidates.push({ question: addressQuestion(question, labels[label], question.length - 4), isNamespace });
  }
  return candidates;
}

/** A of the label in this domain. */
export function inDomain(label: Uint8Array, { wire }: SearchDomain): Uint8Array {
  return addressQuestion(Buffer.concat([label, wire]), 0, label.length + wire.length);
}

/** A of the label in front of the end of the question's name, which begins at `at`. */
export function joinedQuestion(label: Uint8Array, question: Uint8Array, at: number): Uint8Array {
  const name = new Uint8Array(label.length + question.length - 4 - at);
  name.set(label);
  name.set(question.subarray(at, question.length - 4), label.length);
  return addressQuestion(name, 0, name.length);
}

/** Where the labels of the question's name begin, as far as they are below the zone; none if it is not in it. */
export function labelsBelow(zone: ServedZone, question: Uint8Array): number[] {
  const zoneAt = question.length - 4 - zone.wire.length;
  if (zoneAt < 0 || !sameName(question, zoneAt, zone.wire, 0, zone.wire.length)) return [];
  const labels: number[] = [];
  for (let at = 0; at < zoneAt; at += question[at] + 1) labels.push(at);
  return labels;
}

/** A of the name from `from` to `end`, in lower case. */
export function addressQuestion(name: Uint8Array, from: number, end: number): Uint8Array {
  const question = new Uint8Array(end - from + 4);
  for (let at = from; at < end; at++) question[at - from] = lower[name[at]];
  setU16(question, end - from, typeA);
  setU16(question, end - from + 2, classIn);
  return question;
}

const lookup = new Uint8Array(headerBytes + nameBytesMax + 4);

/** What is cached for a question without DO and CD; or 0. */
export function findFor(blocks: Blocks, { zoneId }: ServedZone, question: Uint8Array): BlockRef {
  lookup.set(question, headerBytes);
  return blocks.find(lookup, headerBytes + question.length, zoneId, 0);
}

/** Whether there is a cached answer, and whichever it is, it has not expired. */
export function isFresh(blocks: Blocks, zone: ServedZone, question: Uint8Array, nowMs: number): boolean {
  const ref = findFor(blocks, zone, question);
  return ref !== 0 && nowMs < blocks.expiresAtMs(ref);
}

/** Whether the name of this question for A does not exist now. */
export function isDeniedNow(blocks: Blocks, zone: ServedZone, question: Uint8Array, nowMs: number): boolean {
  const ref = findFor(blocks, zone, question);
  return ref !== 0 && isCutBy(blocks, ref, nowMs);
}

/** The same for a question in any case. */
export function keyOfCut({ zoneId }: ServedZone, question: Uint8Array): string {
  return `${zoneId} ${Buffer.from(question)
    .toString('latin1')
    .replace(/[A-Z]+/g, (letters) => letters.toLowerCase())}`;
}
