/**
 * Which server blocks' misses are plain enough for a worker to ask upstream by itself. The rest is the main thread's:
 * whatever is not known here to be plain is not.
 */
import { askAgainAfterMsMin } from '../limits.js';
import type { BlockConfig, CacheConfig } from './config.js';

/** The one upstream of a plain block. */
export interface DirectUpstream {
  readonly address: string;
  readonly port: number;
  /** Unused connections close after this. */
  readonly expireMs: number;
  /** 0: no limit. */
  readonly maxAgeMs: number;
  /** Its name servers are asked for to see whether a connection answers. */
  readonly probeName: string;
}

/** Null: workers defer the misses of this block. */
export function directUpstreamOf(block: BlockConfig): DirectUpstream | null {
  const { cache, forwards, settings, log, dnstap, traits } = block;
  if (cache === null || forwards.length !== 1 || log.length > 0 || dnstap.length > 0) return null;
  // A plugin may change, make or judge answers.
  if (Object.keys(settings).length > 0 || traits.asksOtherNames || traits.makesAnswers) return null;
  const patienceMs = cache.stale?.patienceMs ?? Number.POSITIVE_INFINITY;
  // Who has a stale answer waits no longer than a direct query may.
  if (!isPlainCache(cache) || patienceMs < askAgainAfterMsMin) return null;
  const [{ to, transport, from, except, next, nextOnNodata, failover, concurrentMax, endpoints, ...forward }] =
    forwards;
  const [target] = to;
  if (to.length !== 1 || target.kind !== 'endpoint' || target.endpoint.overTls || endpoints !== null) return null;
  if (transport !== 'tcp' || from !== '.' || except.length > 0 || concurrentMax > 0) return null;
  const { domain, recursionDesired } = forward.healthCheck;
  if (!recursionDesired || next.length > 0 || nextOnNodata || failover.length > 0 || forward.sourceAddress !== null)
    return null;
  const { address, port } = target.endpoint;
  return { address, port, expireMs: forward.expireMs, maxAgeMs: forward.maxAgeMs, probeName: domain };
}

function isPlainCache({ successDisabled, denialDisabled }: CacheConfig): boolean {
  return successDisabled === null && denialDisabled === null;
}
