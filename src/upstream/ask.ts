/**
 * The seam between resolving and asking: what `upstream/` offers, in the words of the one who asks. Everything
 * behind it (which server, which connection, how often) is its own business, within the deadline.
 */

/** One question to the cluster DNS or another upstream. */
export interface Request {
  /** Name, type and class in wire form, uncompressed, in the spelling to be sent. Not changed after the call. */
  readonly question: Uint8Array;
  readonly recursionDesired: boolean;
  readonly checkingDisabled: boolean;
  readonly dnssecOk: boolean;
  /** How the client asked; a forward with transport `client` asks in the same way. */
  readonly clientTransport: 'udp' | 'tcp';
  /** Who asked, so that what waits is served in turns; all that have none are one client. */
  readonly client?: string | undefined;
  /** EDNS options to be sent along, as the data of an OPT record; at most `requestOptionsBytesMax`. */
  readonly options?: Uint8Array | undefined;
  /** When the query came that this is asked for, if something was asked for it before: the deadline counts from then. */
  readonly askedAtMs?: number | undefined;
  /** How many questions of ours lead from the client's to this one; none without. */
  readonly depth?: number | undefined;
}

export type Failure =
  /** Nobody answered in time. */
  | 'timeout'
  /** No connection, or it broke, on every try. */
  | 'unreachable'
  /** Every upstream is down and failfast_all_unhealthy_upstreams is set. */
  | 'unhealthy'
  /** max_concurrent or a bound of limits.ts. */
  | 'overloaded'
  /** What came back could not be understood, on every try. */
  | 'malformed'
  /** No forward is responsible for the name. */
  | 'nobody'
  /** Aliases lead back to where they came from, or too far. */
  | 'circular'
  /** What the rule says that does not let the client have what this name has. */
  | 'block'
  | 'filter'
  | 'drop';

export interface Answer {
  readonly ok: true;
  /** It answers the question asked (id, QR and question are checked); borrowed until the callback returns. */
  readonly message: Uint8Array;
  /** The upstream's ADDRESS:PORT; empty for what no upstream has said. */
  readonly from: string;
  /** It came over TCP, where nobody but the upstream can have sent it; without it that is not known. */
  readonly isOverTcp?: boolean;
  /** The message is past its TTL, as nobody has a newer one; it may be given and must not be kept. */
  readonly isStale?: boolean;
  /** Without it the answer may be kept as it says; one of ours that is for its client or this moment has false. */
  readonly mayKeep?: boolean | undefined;
}

export type Outcome =
  | Answer
  /** `why` decides the answer; `text` is for the errors log, e.g. `read udp …: i/o timeout`. */
  | { readonly ok: false; readonly why: Failure; readonly text: string };

/**
 * Asks, and calls `done` exactly once, within the deadline; never before the call has returned. After a failure `late`
 * may still be called, once at the most, with an answer that has come after all.
 */
export type Ask = (request: Request, done: (outcome: Outcome) => void, late?: (answer: Answer) => void) => void;
