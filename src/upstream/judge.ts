/**
 * What an answer that was accepted is worth to its question: it is good, or the same upstream is asked in another way,
 * or it is a failed try. What follows from that is the question's.
 */
import { rcodeName } from '../dns/names.js';
import { rcodeFormErr, rcodeNotImp } from '../dns/wire.js';
import { observeDuration } from '../ops/counters.js';
import type { UpstreamWorld } from './place.js';
import { durationsOf } from './stats.js';
import { reader, type Try } from './try.js';

/**
 * `cut`: over UDP, with TC or as good as that (RFC 7766 5), so TCP may bring the rest. `opt refused`: the upstream
 * cannot do anything with our OPT (RFC 6891 6.2.2).
 */
export type Judgement = 'good' | 'cut' | 'opt refused' | 'malformed';

/** Judges the message that was read last, which answers this try, and counts it. */
export function judge(attempt: Try, { counters }: Pick<UpstreamWorld, 'counters'>, nowMs: number): Judgement {
  const { verdict, rcode, hasOpt } = reader;
  if (verdict !== 'broken' && verdict !== 'cut') noteDuration(attempt, rcode, nowMs);
  if (attempt.transport === 'udp' && (verdict === 'truncated' || verdict === 'cut')) {
    counters.count('upstreamTcpRetries');
    return 'cut';
  }
  if (attempt.carriesOpt && !hasOpt && (rcode === rcodeFormErr || rcode === rcodeNotImp)) {
    counters.count('upstreamEdnsRetries');
    return 'opt refused';
  }
  if (verdict === 'answer' || verdict === 'truncated') return 'good';
  counters.count(verdict === 'bare' ? 'answersRejectedQuestion' : 'answersRejectedMalformed');
  return 'malformed';
}

function noteDuration({ upstream, sentAtMs }: Try, rcode: number, nowMs: number): void {
  const durationMs = nowMs - sentAtMs;
  observeDuration(durationsOf(upstream.stats, rcodeName(rcode)), 0, durationMs / 1000);
  upstream.pace.took(durationMs);
}
