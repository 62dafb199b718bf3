/**
 * Those upstreams of one forward that are listeners of ours. They are asked like others, but nothing that would come back to
 * the server block that asks: an upstream of which that is true for every name counts as looping, and for others each question
 * is looked at.
 */
import { formatEndpoint } from '../config/addresses.js';
import type { BlockConfig, ForwardConfig } from '../config/config.js';
import { comesBack, isOurs, returning, type Ways } from '../config/returning.js';
import { lowerCaseName, wireToName } from '../dns/names.js';
import { u16 } from '../dns/wire.js';
import type { Log } from '../os/log.js';
import type { OwnWays } from './endpoint.js';
import type { Upstream } from './upstream.js';

/** The ways from one server block; `changed` is called when the upstreams of one of its forwards are others. */
export function ownWays(ways: Ways, block: BlockConfig, changed: () => void): OwnWays {
  return {
    isOwn: (endpoint) => isOurs(endpoint, ways),
    returning: (forward, endpoint) => returning(ways, { block, forward, endpoint }),
    comesBack(forward, endpoint, question) {
      const name = lowerCaseName(wireToName(question, 0));
      return comesBack(ways, { block, forward, endpoint }, { name, type: u16(question, question.length - 4) });
    },
    changed,
  };
}

export class OwnUpstreams {
  readonly #config: ForwardConfig;
  readonly #ways: OwnWays;
  readonly #log: Log;
  #own: readonly Upstream[] = [];
  /** Those of which all comes back. */
  #returning: ReadonlySet<Upstream> = new Set();
  /** What was said of an upstream last, so that it is said once. */
  #said = new Map<Upstream, string>();

  constructor(config: ForwardConfig, ways: OwnWays, log: Log) {
    this.#config = config;
    this.#ways = ways;
    this.#log = log;
  }

  /** Looks at the upstreams anew: they are others, or other forwards have other ones. */
  judge(upstreams: readonly Upstream[]): void {
    const before = this.#returning;
    this.#own = upstreams.filter(({ endpoint }) => this.#ways.isOwn(endpoint));
    const said = new Map<Upstream, string>();
    const returning = this.#own.filter((upstream) => {
      const { zones, isAll } = this.#ways.returning(this.#config, upstream.endpoint);
      if (zones.length > 0) said.set(upstream, this.#say(upstream, zones, isAll));
      return isAll;
    });
    this.#said = said;
    this.#returning = new Set(returning);
    for (const { stats } of before) stats.looping = false;
    for (const { stats } of returning) stats.looping = true;
  }

  /** Whether all that it is asked comes back. */
  isReturning(upstream: Upstream): boolean {
    return this.#returning.has(upstream);
  }

  /** Those that may be asked the question. */
  mayAsk(upstreams: readonly Upstream[], question: Uint8Array): readonly Upstream[] {
    if (this.#own.length === 0) return upstreams;
    return upstreams.filter(
      (upstream) => !this.#own.includes(upstream) || !this.#ways.comesBack(this.#config, upstream.endpoint, question),
    );
  }

  #say(upstream: Upstream, zones: readonly string[], isAll: boolean): string {
    const { file, line } = this.#config.at;
    const what = isAll
      ? 'its queries come back here, so it is not used'
      : `names in ${zones.join(' ')} come back here, so it is not used for them`;
    const text =
      `${file}:${line}: upstream ${formatEndpoint(upstream.endpoint)} is this server's own address, and ${what}; ` +
      'write the address of a real resolver in this forward or its resolv.conf';
    if (this.#said.get(upstream) !== text) this.#log[isAll ? 'error' : 'warn'](text);
    return text;
  }
}
