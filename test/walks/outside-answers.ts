/**
 * The world outside the cluster, as a resolver gives it: made up from each name, so that a thousand new names cost
 * nothing. Names under `.internal` do not exist, nor do those that begin with `missing`; `v4only` has no AAAA.
 */
import type { Answer, RecordType } from 'dns-packet';
import { raFlag, record, soa } from '../simulation/records.js';
import type { ReplyRecords } from '../simulation/upstream.js';

export const outsideTtlSeconds = 300;
const denialTtlSeconds = 60;

/** NXDOMAIN, no data, or one address of the family that is asked for. */
export function outsideAnswer({ name, type }: { readonly name: string; readonly type: RecordType }): ReplyRecords {
  const labels = name.toLowerCase().split('.').filter(Boolean);
  const zone = labels.slice(-2).join('.');
  const authorities = (): Answer[] => soa(name, { soaName: zone, soaMinimum: denialTtlSeconds });
  const isMissing = ['internal', 'arpa'].includes(labels.at(-1) ?? '') || labels[0]?.startsWith('missing');
  if (isMissing) return { flags: raFlag, rcode: 3, authorities: authorities() };
  const address = labels.length < 2 ? undefined : addressOf(labels, type);
  if (address === undefined) return { flags: raFlag, authorities: authorities() };
  return { flags: raFlag, answers: [record(name, type, outsideTtlSeconds, address)] };
}

function addressOf(labels: readonly string[], type: RecordType): string | undefined {
  let sum = 0;
  for (const character of labels.join('.')) sum = (31 * sum + character.charCodeAt(0)) % 65_521;
  if (type === 'A') return `198.51.${sum >>> 8}.${sum & 255}`;
  if (type === 'AAAA' && !labels[0].startsWith('v4only')) return `2001:db8::${sum.toString(16)}`;
  return undefined;
}
