/**
 * What an answer that was accepted is worth to its question: it is good, or the same upstream is asked in another way,
 * or it is a failed try. What follows from that is the question's.
 */

import { observeDuration } from '../counters.js';
import { rcodeName } from '../dns/names.js';
import { rcodeFormErr, rcodeNoError, rcodeNotImp, rcodeNxDomain, rcodeServFail } from '../dns/wire.js';
import type { AgainBudget } from './budget.js';
import { doubtsOpt } from './manner.js';
import type { UpstreamDeps } from './place.js';
import { durationsOf } from './stats.js';
import { type Judgement, reader, type Try } from './try.js';

/** What a question's home has for it. */
interface JudgeDeps {
  readonly budget: AgainBudget;
  readonly deps: Pick<UpstreamDeps, 'counters'>;
}

/** A larger one is said by an OPT, about EDNS itself (RFC 6891 6.1.3). */
const rcodeOfHeaderMax = 0x0f;

/** Judges the message that was read last, which answers this try, and counts it. */
export function judge(attempt: Try, { deps, budget }: JudgeDeps, nowMs: number): Judgement {
  const { verdict, rcode } = reader;
  const { counters } = deps;
  const isReadable = verdict === 'answer' || verdict === 'truncated';
  if (isReadable || verdict === 'bare') noteDuration(attempt, rcode, nowMs);
  if (isReadable && (rcode === rcodeNoError || rcode === rcodeNxDomain)) attempt.upstream.answeredWell(attempt, nowMs);
  if (isOptToBlame(attempt, budget, nowMs)) {
    counters.count('upstreamEdnsRetries');
    return 'opt refused';
  }
  if (attempt.transport === 'udp' && (verdict === 'truncated' || verdict === 'cut')) {
    counters.count('upstreamTcpRetries');
    return 'cut';
  }
  if (isReadable) return 'good';
  counters.count(verdict === 'bare' ? 'answersRejectedQuestion' : 'answersRejectedMalformed');
  return 'malformed';
}

/**
 * Whether it may be for its OPT that this try brought nothing good. Who refuses it without an OPT does not know EDNS
 * (RFC 6891 7). All else may be meant, and costs a question more, so it is asked about seldom, and not of an upstream
 * that has answered with OPT lately.
 */
function isOptToBlame(attempt: Try, budget: AgainBudget, nowMs: number): boolean {
  if (!attempt.carriesOpt) return false;
  const { verdict, rcode, hasOpt, records } = reader;
  const isRefused = rcode === rcodeFormErr || rcode === rcodeNotImp;
  if (isRefused && !hasOpt) return true;
  if (isRefused || rcode > rcodeOfHeaderMax)
    return !attempt.upstream.edns.isProven(nowMs) && budget.spend(nowMs, attempt.request.client);
  const isMangled = (verdict === 'broken' || verdict === 'cut') && records.isOptDamaged;
  return (
    (isMangled || rcode === rcodeServFail) && doubtsOpt(attempt, nowMs) && budget.spend(nowMs, attempt.request.client)
  );
}

function noteDuration({ upstream, sentAtMs }: Try, rcode: number, nowMs: number): void {
  const durationMs = nowMs - sentAtMs;
  observeDuration(durationsOf(upstream.stats, rcodeName(rcode)), 0, durationMs / 1000);
  upstream.pace.took(durationMs);
}
