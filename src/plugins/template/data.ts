/**
 * What a template sees: the data that CoreDNS documents for its `template`, as values of the template language. The
 * names are Go's. Records of the query's other sections are not offered; there are none but its OPT.
 */
import { className, typeName, wireToName } from '../../dns/names.js';
import type { AskedQuestion } from '../../dns/query.js';
import { flagAd, flagCd, flagRd } from '../../dns/wire.js';
import type { MakeQuery } from '../../resolve/route.js';
import type { Structure, Value } from './values.js';

/** What a template's pattern has found in a name. */
export interface PatternMatch {
  readonly groups: readonly (string | undefined)[];
  /** The numbers of groups that have names. */
  readonly names: ReadonlyMap<string, number>;
}

/** The data of one run, for the template of `zone` whose regular expression gave `match`. */
export function templateData(query: MakeQuery, asked: AskedQuestion, zone: string, match: PatternMatch): Structure {
  // A group that took no part is empty in Go and undefined here.
  const matches = match.groups.map((text) => text ?? '');
  const groups = new Map<string, string>(matches.map((text, at) => [String(at), text]));
  for (const [name, number] of match.names) groups.set(name, matches[number]);
  const question = questionData(query.question, asked);
  return {
    name: 'templateData',
    fields: {
      Zone: zone,
      Name: asked.name,
      Class: className(asked.class),
      Type: typeName(asked.type),
      Match: matches,
      Group: { entries: groups, zero: '' },
      Message: messageData(query, question),
      Question: question,
      Remote: query.remote,
      // No plugin in node-cache has metadata before an upstream has answered, so every label is empty.
      Meta: { parameters: 1, call: () => '' },
    },
  };
}

function questionData(question: Uint8Array, asked: AskedQuestion): Structure {
  return {
    name: 'dns.Question',
    fields: { Name: wireToName(question, 0), Qtype: BigInt(asked.type), Qclass: BigInt(asked.class) },
  };
}

/** Of the flags only those that a query may carry are as it has them. */
function messageData({ id, flags }: MakeQuery, question: Value): Structure {
  return {
    name: 'dns.Msg',
    fields: {
      Id: BigInt(id),
      Response: false,
      Opcode: 0n,
      Authoritative: false,
      Truncated: false,
      RecursionDesired: (flags & flagRd) !== 0,
      RecursionAvailable: false,
      Zero: false,
      AuthenticatedData: (flags & flagAd) !== 0,
      CheckingDisabled: (flags & flagCd) !== 0,
      Rcode: 0n,
      Question: [question],
    },
  };
}
