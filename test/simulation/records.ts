/**
 * The few records that a scripted server puts into its answers besides those a test gives.
 */
import dnsPacket, { type Answer, type RecordType } from 'dns-packet';

export const rdFlag = dnsPacket.RECURSION_DESIRED;
export const raFlag = dnsPacket.RECURSION_AVAILABLE;
export const tcFlag = dnsPacket.TRUNCATED_RESPONSE;

export interface NegativeOptions {
  readonly soaMinimum?: number;
  /** TTL of the SOA record itself; `soaMinimum` unless said. */
  readonly soaTtl?: number;
  /** The name's parent unless said; null: no SOA at all. */
  readonly soaName?: string | null;
}

/** A record for `ReplyRecords`; `data` is in dns-packet's form for the type. */
export function record(name: string, type: RecordType, ttlSeconds: number, data: unknown): Answer {
  return { name, type, ttl: ttlSeconds, class: 'IN', data } as Answer;
}

/** What a negative answer about `name` has in its authority section. */
export function soa(name: string, { soaMinimum = 30, soaTtl = soaMinimum, soaName }: NegativeOptions): Answer[] {
  if (soaName === null) return [];
  const owner = soaName ?? (name.slice(name.indexOf('.') + 1) || '.');
  const data = {
    mname: `ns.${owner}`,
    rname: `hostmaster.${owner}`,
    serial: 1,
    refresh: 7200,
    retry: 1800,
    expire: 86400,
    minimum: soaMinimum,
  };
  return [record(owner, 'SOA', soaTtl, data)];
}

/** A server's OPT; `flags` are those of the query's. */
export function ourOpt(flags: number): Answer {
  return {
    type: 'OPT',
    name: '.',
    udpPayloadSize: 1232,
    extendedRcode: 0,
    ednsVersion: 0,
    flags,
    flag_do: (flags & dnsPacket.DNSSEC_OK) !== 0,
    options: [],
  };
}
