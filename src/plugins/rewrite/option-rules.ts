/**
 * `rewrite edns0`: EDNS options of upstream queries. A client's option is forwarded only if a rule about its code leaves it;
 * then, and if an option identifies the client, the answer may be for that client alone.
 */
import { overTcp } from '../../counters.js';
import { lowerCaseName, wireToName } from '../../dns/names.js';
import { optionOf } from '../../dns/options.js';
import { setU16, u16 } from '../../dns/wire.js';
import { addressBytes } from '../../os/addresses.js';
import type { QueryPlanDraft, QueryToPlan } from '../../resolve/route.js';
import type { OptionChange } from './name-rules.js';

/** Applies the rule; false if it does not apply. */
export function changeOptions(rule: OptionChange, draft: QueryPlanDraft, query: QueryToPlan): boolean {
  const { action, code } = rule;
  const { options } = draft;
  const fromClient = action === 'set' || options.has(code) ? null : optionOf(query.packet, code);
  const isThere = options.has(code) || fromClient !== null;
  if (action === 'unset') {
    options.delete(code);
    return isThere;
  }
  if (action === 'append' && fromClient !== null) {
    options.set(code, fromClient);
    draft.holdsFor = 'client';
  }
  if (action === (isThere ? 'append' : 'replace')) return false;
  if (fromClient !== null) draft.holdsFor = 'client';
  options.set(code, dataFor(rule, draft, query));
  return true;
}

function dataFor({ data }: OptionChange, draft: QueryPlanDraft, query: QueryToPlan): Uint8Array {
  if (data.kind === 'bytes') return Uint8Array.from(data.bytes);
  if (data.kind === 'subnet') {
    const address = addressBytes(query.client.remote.address.replace(/%.*$/u, ''));
    const bits = address.length === 4 ? data.v4Bits : data.v6Bits;
    if (bits > 0 && draft.holdsFor === 'everybody') draft.holdsFor = 'unscoped';
    return subnetOf(address, bits);
  }
  if (data.name === 'qname') return Buffer.from(lowerCaseName(wireToName(draft.question, 0)));
  if (data.name === 'qtype') return number(u16(draft.question, draft.question.length - 4));
  draft.holdsFor = 'client';
  const { remote, local, transport } = query.client;
  if (data.name === 'protocol') return Buffer.from(transport === overTcp ? 'tcp' : 'udp');
  const endpoint = data.name.startsWith('client') ? remote : local;
  return data.name.endsWith('port') ? number(endpoint.port) : addressBytes(endpoint.address.replace(/%.*$/u, ''));
}

function number(value: number): Uint8Array {
  const bytes = new Uint8Array(2);
  setU16(bytes, 0, value);
  return bytes;
}

/** RFC 7871 6: family, source prefix length, scope 0, and the prefix's bytes with zero bits behind it. */
function subnetOf(address: Uint8Array, bits: number): Uint8Array {
  const bytes = Math.ceil(bits / 8);
  const data = new Uint8Array(4 + bytes);
  setU16(data, 0, address.length === 4 ? 1 : 2);
  data[2] = bits;
  data.set(address.subarray(0, bytes), 4);
  if (bits % 8 !== 0) data[3 + bytes] &= (0xff00 >> (bits % 8)) & 0xff;
  return data;
}
