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
  | 'nobody';

export type Outcome =
  /**
   * `message` answers the question asked (id, QR and question are checked); borrowed until the callback returns. With
   * `lacksOpt` the upstream was asked without the OPT that the request needed, so DO and options were not heeded.
   */
  | { readonly ok: true; readonly message: Uint8Array; readonly from: string; readonly lacksOpt?: boolean }
  /** `why` decides the answer; `text` is for the errors log, e.g. `read udp …: i/o timeout`. */
  | { readonly ok: false; readonly why: Failure; readonly text: string };

/** Asks, and calls `done` exactly once, within the deadline; never before the call has returned. */
export type Ask = (request: Request, done: (outcome: Outcome) => void) => void;
