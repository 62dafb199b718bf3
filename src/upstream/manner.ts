/**
 * In which manner a question asks an upstream: by which transport, and with an OPT or without, as its tries so far and
 * those of other questions tell. Where an OPT may be what an upstream does not answer, the same question is asked
 * without; only if that is answered well is the upstream asked so from then on. Slow or dead it is just as slow or dead
 * without OPT, and nothing is concluded.
 */
import type { Request } from './ask.js';
import { notSent } from './attempt.js';
import { needsOpt } from './request.js';
import type { Manner, Try } from './try.js';
import type { Upstream, UpstreamTransport } from './upstream.js';

/** How a question would be asked if nothing were known of the upstream. */
export interface Wish {
  readonly request: Request;
  readonly transport: UpstreamTransport;
  /** The transport is a matter of course: force_tcp, or what has TC over UDP. */
  readonly isFixed: boolean;
}

/** How a question asks this upstream after these tries. */
export function mannerOf(upstream: Upstream, tries: readonly Try[], wish: Wish, nowMs: number): Manner {
  const before = tries.filter((attempt) => attempt.upstream === upstream);
  if (!wish.isFixed && isCutWithoutTcp(upstream, before, nowMs)) return withoutOpt('udp');
  const transport = wish.isFixed ? wish.transport : wayNow(upstream, wish.transport, before, nowMs);
  const isRefused = before.some(({ judgement }) => judgement === 'opt refused');
  const isSilent = before.some((attempt) => attempt.transport === transport && isSilentForOpt(attempt, nowMs));
  if (isRefused || isSilent) return withoutOpt(transport);
  const allowsOpt = needsOpt(wish.request) || transport === 'tcp' || upstream.edns.nextHasOpt(nowMs);
  return { transport, testsOpt: false, allowsOpt };
}

/** The manner that shows whether the OPT is the trouble. */
export function withoutOpt(transport: UpstreamTransport): Manner {
  return { transport, testsOpt: true, allowsOpt: false };
}

/**
 * Whether this upstream may be asked without an OPT as well: where nothing is known of it that speaks for the OPT. What
 * has to have one is only asked without where it is known that nothing comes with one (RFC 6891 6.2.2), as DNSSEC is lost.
 */
export function doubtsOpt({ request, upstream }: Pick<Try, 'request' | 'upstream'>, nowMs: number): boolean {
  return needsOpt(request) ? upstream.edns.isWithout : !upstream.edns.isProven(nowMs);
}

/**
 * Beside a silent try: how the same upstream is asked without an OPT. `known`: it answers in no other way, as has been
 * found meanwhile. `perhaps`: it may. `no`: the OPT is not the trouble, or that has been tried.
 */
export function besideWithoutOpt(silent: Try, tries: readonly Try[], nowMs: number): 'known' | 'perhaps' | 'no' {
  const { upstream, transport, request, carriesOpt } = silent;
  if (!carriesOpt) return 'no';
  const isTried = tries.some((one) => one.upstream === upstream && one.transport === transport && !one.carriesOpt);
  if (isTried) return 'no';
  if (!needsOpt(request) && upstream.edns.isWithout) return 'known';
  return isSilentForOpt(silent, nowMs) ? 'perhaps' : 'no';
}

/** What it answered to an OPT was cut, and TCP has nothing: without OPT an answer is short, or honest with TC. */
function isCutWithoutTcp(upstream: Upstream, before: readonly Try[], nowMs: number): boolean {
  if (!before.some((attempt) => attempt.judgement === 'cut' && attempt.carriesOpt && doubtsOpt(attempt, nowMs)))
    return false;
  if (before.some(({ transport, carriesOpt }) => transport === 'udp' && !carriesOpt)) return false;
  return (
    upstream.wayTo('tcp', [], nowMs) === 'udp' || before.some(({ transport, isLost }) => transport === 'tcp' && isLost)
  );
}

/** It got no answer of any kind, and an OPT may be why. */
function isSilentForOpt(attempt: Try, nowMs: number): boolean {
  const { carriesOpt, judgement, isLost, sentAtMs } = attempt;
  return carriesOpt && judgement === null && !isLost && sentAtMs !== notSent && doubtsOpt(attempt, nowMs);
}

/**
 * How a question with these tries asks this upstream: over TCP what it has cut over UDP, and what somebody guesses the id of
 * there, unless TCP leads nowhere.
 */
function wayNow(
  upstream: Upstream,
  wanted: UpstreamTransport,
  tries: readonly Try[],
  nowMs: number,
): UpstreamTransport {
  const before = tries.filter((attempt) => attempt.upstream === upstream);
  if (before.some(({ judgement }) => judgement === 'cut')) return 'tcp';
  const isDisturbed = before.some((attempt) => attempt.isDisturbed);
  return upstream.wayTo(isDisturbed ? 'tcp' : wanted, waysTried(before, upstream), nowMs);
}

/** How its upstream had been asked before this try was sent. What was sent with it or later has had less time. */
export function waysBefore(tries: readonly Try[], attempt: Try): UpstreamTransport[] {
  if (tries.length === 1) return [];
  const { sentAtMs } = attempt;
  const before = tries.filter((one) => one.sentAtMs !== notSent && one.sentAtMs < sentAtMs);
  return waysTried(before, attempt.upstream);
}

/** How this upstream has been asked in these tries. One that was disturbed had no time to answer. */
export function waysTried(tries: readonly Try[], upstream: Upstream): UpstreamTransport[] {
  return tries
    .filter((attempt) => attempt.upstream === upstream && !attempt.isDisturbed)
    .map(({ transport }) => transport);
}
