/**
 * Answers from a hosts file as CoreDNS's `hosts` gives them: addresses for names, names for addresses, and no data for other
 * types of a known name. An unknown name falls through or gets SERVFAIL, since a hosts file cannot prove that a name does
 * not exist.
 */
import { newAnswerer } from '../../counters.js';
import { isInZone } from '../../dns/names.js';
import { askedBy } from '../../dns/query.js';
import { classIn, typeA, typeAaaa, typePtr } from '../../dns/wire.js';
import type { Made, MakeQuery } from '../../resolve/route.js';
import { fallsThrough, madeAnswer } from '../plugin.js';
import type { HostsConfig } from './file.js';
import { findHost, type HostsTable } from './table.js';

export const byHosts = newAnswerer('hosts');

/** Makes answers from the table of the moment. */
export function hostsMaker(config: HostsConfig, table: () => HostsTable): (query: MakeQuery) => Made {
  return (query) => {
    const { name, type, class: questionClass } = askedBy(query.question);
    if (questionClass !== classIn) return { kind: 'next' };
    const known = findHost(table(), name);
    if (type === typePtr && known.ptr.length > 0) return hostsAnswer(config, query, name, 'PTR', known.ptr);
    // A name of a reverse zone may be known although the zone is not the block's; otherwise another directive answers.
    if (type === typePtr || !config.zones.some((zone) => isInZone(name, zone))) return { kind: 'next' };
    const isKnown = known.a.length > 0 || known.aaaa.length > 0;
    const isSupported = type === typeA || type === typeAaaa;
    if (!isKnown || (!isSupported && config.fallthroughUnsupported)) {
      if (fallsThrough(config.fallthrough, name)) return { kind: 'next' };
    }
    if (!isKnown) {
      const { file, line } = config.at;
      return { kind: 'servfail', text: `hosts at ${file}:${line}: ${name} is not in it and no fallthrough` };
    }
    if (type === typeA) return hostsAnswer(config, query, name, 'A', known.a);
    return hostsAnswer(config, query, name, 'AAAA', type === typeAaaa ? known.aaaa : []);
  };
}

function hostsAnswer(
  { ttlSeconds }: HostsConfig,
  query: MakeQuery,
  name: string,
  type: 'A' | 'AAAA' | 'PTR',
  data: readonly string[],
): Made {
  const records = data.map((value) => `${name} ${ttlSeconds} IN ${type} ${value}`);
  return madeAnswer(query, byHosts, { authoritative: true, answer: records });
}
