/**
 * One try of a question with one upstream: the attempt that a connection or socket carries. It reads what comes back
 * and leaves what to do about it to the question.
 */
import type { Request } from './ask.js';
import { type Attempt, type Carrier, type Loss, notSent, timeoutText } from './attempt.js';
import { AnswerReader, needsOpt } from './request.js';
import type { Upstream, UpstreamTransport } from './upstream.js';

/** In which manner the upstream is asked. */
export interface Manner {
  readonly transport: UpstreamTransport;
  readonly allowsOpt: boolean;
  /** There is no OPT so that it is seen whether that brings an answer. */
  readonly testsOpt: boolean;
}

/**
 * `cut`: over UDP, with TC or as good as that (RFC 7766 5), so TCP may bring the rest. `opt refused`: the upstream
 * cannot do anything with our OPT (RFC 6891 6.2.2).
 */
export type Judgement = 'good' | 'cut' | 'opt refused' | 'malformed';

/** The question as its tries see it. */
export interface Asker {
  readonly request: Request;
  answered(attempt: Try, message: Uint8Array, nowMs: number): void;
  lost(attempt: Try, loss: Loss, nowMs: number): void;
}

/** What the message last accepted says; good until anything else is read. */
export const reader = new AnswerReader();

export class Try implements Attempt {
  carrier: Carrier | null = null;
  sentAtMs = notSent;
  /** Of its answer; null while there is none. */
  judgement: Judgement | null = null;
  /** Its carrier broke or turned it away. */
  isLost = false;
  /** Its port got something that was not asked for. */
  isDisturbed = false;
  readonly transport: UpstreamTransport;
  readonly allowsOpt: boolean;
  readonly testsOpt: boolean;
  readonly #asker: Asker;

  constructor(
    asker: Asker,
    readonly upstream: Upstream,
    { transport, allowsOpt, testsOpt }: Manner,
    readonly isAgain: boolean,
  ) {
    this.#asker = asker;
    this.transport = transport;
    this.allowsOpt = allowsOpt;
    this.testsOpt = testsOpt;
  }

  get request(): Request {
    return this.#asker.request;
  }

  /** Whether the request had an OPT record: over UDP always, over TCP where it has to. */
  get carriesOpt(): boolean {
    return this.allowsOpt && (this.transport === 'udp' || needsOpt(this.request));
  }

  accepts(message: Uint8Array): boolean {
    const verdict = reader.read(message, this.request);
    if (verdict !== 'stranger' && verdict !== 'garbage') return true;
    this.upstream.rejected(verdict);
    return false;
  }

  answered(message: Uint8Array, nowMs: number): void {
    this.#asker.answered(this, message, nowMs);
  }

  lost(loss: Loss, nowMs: number): void {
    this.isLost = true;
    this.isDisturbed = loss.isDisturbed === true;
    this.#asker.lost(this, loss, nowMs);
  }

  /** Gives it up; nothing is said to the question. */
  abandon(nowMs: number): void {
    this.carrier?.abandon(this, nowMs);
  }

  /** Whether what carries it has been heard since: then it is this question that takes long. */
  isCarrierHeardSince(timeMs: number): boolean {
    return this.carrier !== null && this.carrier.lastHeardMs >= timeMs;
  }

  timeoutText(): string {
    return timeoutText(this.transport, this.upstream.to, this.carrier?.waitsFor ?? 'answer');
  }

  malformed(): Loss {
    return { why: 'malformed', text: `read ${this.transport} ${this.upstream.to}: dns: bad message`, blame: true };
  }
}
