/**
 * Questions that wait, in objects that are used for one question after another: what is asked, who waits, and the bytes
 * of both. A miss that makes garbage costs more in collections than in everything else.
 *
 * An object is free again only if its question was asked as it is, and an upstream's answer has ended it: then nothing
 * refers to it any more. All others are left to the collector.
 */
import { keyCheckingDisabled, keyDnssecOk } from '../cache/blocks.js';
import { overTcp, type Transport } from '../counters.js';
import { copyOf } from '../dns/wire.js';
import { freeQuestionsMax, waiterQueryBytesMax } from '../limits.js';
import type { Client } from '../listen/client.js';
import type { Answer, Ask, Outcome, Request } from '../upstream/ask.js';
import type { OwnWaiter, Pending, Waiter } from './pending.js';
import type { ServedZone } from './zones.js';

type Writable<Type> = { -readonly [Key in keyof Type]: Type[Key] };

interface QuestionOwner {
  answered(question: PendingQuestion, outcome: Outcome): void;
  /** After a failure. */
  answeredLate(question: PendingQuestion, answer: Answer): void;
}

/** What a question is about. */
type QuestionFacts = Pick<
  Pending,
  'question' | 'zoneId' | 'key' | 'recursionDesired' | 'hash' | 'zone' | 'route' | 'startedAtMs' | 'depth'
>;

/** A question that is asked as it is. One with a plan is a copy, a plain object. */
export class PendingQuestion implements Pending {
  question!: Pending['question'];
  zoneId = 0;
  key = 0;
  recursionDesired = false;
  hash = 0;
  readonly isJoinable = true;
  readonly plan = null;
  zone!: Pending['zone'];
  route!: Pending['route'];
  startedAtMs = 0;
  hasStale = false;
  depth = 0;
  asksOurselves = false;
  waiters: Waiter[] = [];
  next: Pending | null = null;
  /** What is asked upstream. */
  readonly request: Writable<Request> = {
    question: new Uint8Array(0),
    recursionDesired: false,
    checkingDisabled: false,
    dnssecOk: false,
    clientTransport: 'udp',
    client: undefined,
    options: undefined,
    askedAtMs: 0,
    depth: 0,
  };
  /** Permanent, because a closure for each question would be garbage. */
  readonly done: (outcome: Outcome) => void;
  readonly late: (answer: Answer) => void;

  constructor(owner: QuestionOwner) {
    this.done = (outcome) => owner.answered(this, outcome);
    this.late = (answer) => owner.answeredLate(this, answer);
  }

  get ask(): Ask {
    return this.route.ask;
  }

  get askedAtMs(): number {
    return this.startedAtMs;
  }

  begin({ question, zoneId, key, recursionDesired, hash, zone, route, startedAtMs, depth }: QuestionFacts): void {
    this.question = question;
    this.zoneId = zoneId;
    this.key = key;
    this.recursionDesired = recursionDesired;
    this.hash = hash;
    this.zone = zone;
    this.route = route;
    this.startedAtMs = startedAtMs;
    this.depth = depth;
    this.asksOurselves = route.asksOurselves;
    this.hasStale = false;
  }

  /** Completes `request`; `client` is the first that waits. */
  asRequest(transport: Transport, client: string | undefined): Request {
    const { request } = this;
    request.question = this.question;
    request.recursionDesired = this.recursionDesired;
    request.checkingDisabled = (this.key & keyCheckingDisabled) !== 0;
    request.dnssecOk = (this.key & keyDnssecOk) !== 0;
    request.clientTransport = transport === overTcp ? 'tcp' : 'udp';
    request.client = client;
    request.askedAtMs = this.startedAtMs;
    request.depth = this.depth;
    return request;
  }
}

class FreeWaiter implements Waiter {
  client!: Client;
  packet!: Uint8Array;
  queryBytes = 0;
  receivedAtMs = 0;
  zone!: ServedZone;
  wants: Waiter['wants'] = 'answer';
  readonly ours: OwnWaiter | null = null;
}

export class Questions {
  readonly #owner: QuestionOwner;
  readonly #questions: PendingQuestion[] = [];
  readonly #waiters: FreeWaiter[] = [];
  readonly #bytes = new FreeBytes(2 * freeQuestionsMax);

  constructor(owner: QuestionOwner) {
    this.#owner = owner;
  }

  /** A copy of these bytes, for a question or a waiter. */
  readonly copy = (bytes: Uint8Array, from: number, end: number): Uint8Array => this.#bytes.copy(bytes, from, end);

  question(identity: QuestionFacts): PendingQuestion {
    const question = this.#questions.pop() ?? new PendingQuestion(this.#owner);
    question.begin(identity);
    return question;
  }

  waiter(client: Client, packet: Uint8Array, queryBytes: number, receivedAtMs: number): Writable<Waiter> {
    const waiter = this.#waiters.pop() ?? new FreeWaiter();
    waiter.client = client;
    waiter.packet = packet;
    waiter.queryBytes = queryBytes;
    waiter.receivedAtMs = receivedAtMs;
    return waiter;
  }

  /** Takes back a question that is over; nothing may refer to it, its waiters and their clients any more. */
  free(question: PendingQuestion): void {
    const { waiters } = question;
    for (let waiter = waiters.pop(); waiter !== undefined; waiter = waiters.pop()) {
      if (!(waiter instanceof FreeWaiter)) continue;
      waiter.client.free?.();
      this.#bytes.free(waiter.packet);
      if (this.#waiters.length < freeQuestionsMax) this.#waiters.push(waiter);
    }
    this.#bytes.free(question.question);
    if (this.#questions.length < freeQuestionsMax) this.#questions.push(question);
  }
}

/** Arrays of bytes, by length: a new one of 40 bytes takes 240. */
export class FreeBytes {
  readonly #byLength: Uint8Array[][] = Array.from({ length: waiterQueryBytesMax + 1 }, () => []);
  readonly #max: number;
  #size = 0;

  constructor(max: number) {
    this.#max = max;
  }

  copy(bytes: Uint8Array, from: number, end: number): Uint8Array {
    const free = this.#byLength[end - from].pop();
    if (free === undefined) return copyOf(bytes, from, end);
    this.#size--;
    for (let at = from; at < end; at++) free[at - from] = bytes[at];
    return free;
  }

  free(bytes: Uint8Array): void {
    if (bytes.length > waiterQueryBytesMax) return;
    // Full of other lengths than are asked for now.
    if (this.#size === this.#max) for (const free of this.#byLength) free.length = 0;
    if (this.#size === this.#max) this.#size = 0;
    this.#size++;
    this.#byLength[bytes.length].push(bytes);
  }
}
