/** The seam between resolve/ and upstream/: a request goes in, one outcome comes out within the deadline. */

export interface Request {
  /** Name, type and class in wire form, uncompressed, spelled as it is to be sent. Not changed after the call. */
  readonly question: Uint8Array;
  readonly recursionDesired: boolean;
  readonly checkingDisabled: boolean;
  readonly dnssecOk: boolean;
  /** Used by a forward with transport `client`. */
  readonly clientTransport: 'udp' | 'tcp';
  /** For the fair queues; all requests without one count as one client. */
  readonly client?: string | undefined;
  /** EDNS options as the data of an OPT record; at most `requestOptionsBytesMax`. */
  readonly options?: Uint8Array | undefined;
  /** When the client's query came, if it led to an earlier request: the deadline counts from then. */
  readonly askedAtMs?: number | undefined;
  /** Number of subqueries between the client's query and this one. */
  readonly depth?: number | undefined;
}

export type Failure =
  /** No answer in time. */
  | 'timeout'
  /** No connection, or it broke, in every attempt. */
  | 'unreachable'
  /** All upstreams are down, with failfast_all_unhealthy_upstreams. */
  | 'unhealthy'
  | 'overloaded'
  /** No readable answer, in every attempt. */
  | 'malformed'
  /** No forward matches the name. */
  | 'nobody'
  /** Aliases form a loop, or a chain that is too long. */
  | 'circular'
  /** The action of a response rule that denies the client this answer. */
  | 'block'
  | 'filter'
  | 'drop';

export interface Answer {
  readonly ok: true;
  /** Answers the question (id, QR and question are checked); borrowed until the callback returns. */
  readonly message: Uint8Array;
  /** ADDRESS:PORT of the upstream; empty for an answer made here. */
  readonly from: string;
  /** Only the upstream can have sent it; over UDP that is not certain. */
  readonly isOverTcp?: boolean;
  /** Past its TTL, because no newer answer came: may be given, not cached. */
  readonly isStale?: boolean;
  /** False: valid only for this client or moment, so not cached. Undefined: cached as its TTLs say. */
  readonly mayKeep?: boolean | undefined;
}

export type Outcome = Answer | FailedOutcome;

/** `why` decides the answer; `text` goes to the errors log, e.g. `read udp …: i/o timeout`. */
export interface FailedOutcome {
  readonly ok: false;
  readonly why: Failure;
  readonly text: string;
}

/**
 * Calls `done` exactly once, within the deadline, after the call has returned. After a failure it may call `late` once,
 * with an answer that came after all.
 */
export type Ask = (request: Request, done: (outcome: Outcome) => void, late?: (answer: Answer) => void) => void;

/** The receiver of a query's outcome, and the time of its question. */
export interface QueryCaller {
  readonly askedAtMs: number;
  readonly done: (outcome: Outcome) => void;
  /** Takes an answer that comes after `done` was told of a failure. */
  readonly late: ((answer: Answer) => void) | null;
}
