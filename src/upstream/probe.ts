/**
 * A question of our own to an upstream, to see whether it answers at all: a health check, or a scout that finds out
 * where a new connection or port leads. Any answer will do, as in CoreDNS, so it asks for what every server has
 * something to say to.
 */
import { flagQr, messageFlags } from '../dns/wire.js';
import { headerBytes } from '../limits.js';
import type { Request } from './ask.js';
import { type Attempt, type Carrier, notSent } from './attempt.js';

export class Probe implements Attempt {
  // Without an OPT: an upstream that dislikes it is up.
  readonly allowsOpt = false;
  readonly isAgain = false;
  readonly isProbe = true;
  carrier: Carrier | null = null;
  sentAtMs = notSent;

  /** `ended` is called once, unless the probe is abandoned. */
  constructor(
    readonly request: Request,
    readonly startedAtMs: number,
    readonly ended: (probe: Probe, hasAnswer: boolean, nowMs: number) => void,
  ) {}

  accepts(message: Uint8Array): boolean {
    return message.length >= headerBytes && (messageFlags(message) & flagQr) !== 0;
  }

  answered(_message: Uint8Array, nowMs: number): void {
    this.ended(this, true, nowMs);
  }

  lost(_loss: unknown, nowMs: number): void {
    this.ended(this, false, nowMs);
  }
}
