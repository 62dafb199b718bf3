/**
 * Upstreams of a forward that are our own listeners. They are used like others, except for queries that would come back
 * to the same server block: an upstream from which every name comes back counts as looping, for others each query is
 * checked.
 */
import { formatEndpoint } from '../config/addresses.js';
import type { BlockConfig, ForwardConfig } from '../config/config.js';
import { comesBack, isOurs, returning, type Ways } from '../config/returning.js';
import { lowerCaseName, wireToName } from '../dns/names.js';
import { u16 } from '../dns/wire.js';
import type { Log } from '../os/log.js';
import type { OwnListeners } from './endpoint.js';
import type { Upstream } from './upstream.js';

/** `changed` is called when the upstreams of one of the block's forwards change. */
export function ownListeners(ways: Ways, block: BlockConfig, changed: () => void): OwnListeners {
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
  readonly #listeners: OwnListeners;
  readonly #log: Log;
  #own: readonly Upstream[] = [];
  /** Upstreams from which every query comes back. */
  #returning: ReadonlySet<Upstream> = new Set();
  /** The text logged last for each upstream. */
  #said = new Map<Upstream, string>();

  constructor(config: ForwardConfig, listeners: OwnListeners, log: Log) {
    this.#config = config;
    this.#listeners = listeners;
    this.#log = log;
  }

  /** Checks the upstreams; needed again when any forward's upstreams change. */
  judge(upstreams: readonly Upstream[]): void {
    const before = this.#returning;
    this.#own = upstreams.filter(({ endpoint }) => this.#listeners.isOwn(endpoint));
    for (const upstream of upstreams) upstream.stats.isOwn = this.#own.includes(upstream);
    const said = new Map<Upstream, string>();
    const returning = this.#own.filter((upstream) => {
      const { zones, isAll } = this.#listeners.returning(this.#config, upstream.endpoint);
      if (zones.length > 0) said.set(upstream, this.#say(upstream, zones, isAll));
      return isAll;
    });
    this.#said = said;
    this.#returning = new Set(returning);
    for (const { stats } of before) stats.looping = false;
    for (const { stats } of returning) stats.looping = true;
  }

  isReturning(upstream: Upstream): boolean {
    return this.#returning.has(upstream);
  }

  /** The upstreams from which this question does not come back. */
  mayAsk(upstreams: readonly Upstream[], question: Uint8Array): readonly Upstream[] {
    if (this.#own.length === 0) return upstreams;
    return upstreams.filter(
      (upstream) =>
        !this.#own.includes(upstream) || !this.#listeners.comesBack(this.#config, upstream.endpoint, question),
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
