/** Queries as changers see them, the rules of a Corefile, and what they make of both. */
import packets from 'dns-packet';
import { parseConfig } from '../../src/config/load.js';
import { settingsOf } from '../../src/config/plugins.js';
import { overUdp } from '../../src/counters.js';
import { className, nameToWire, typeName, typeNumber, wireToName } from '../../src/dns/names.js';
import { u16 } from '../../src/dns/wire.js';
import type { RewriteRule } from '../../src/plugins/rewrite/name-rules.js';
import { rewrite } from '../../src/plugins/rewrite/plugin.js';
import type { QueryToPlan } from '../../src/resolve/route.js';
import { loadOptions } from './context-fixture.js';

export interface QueryParts {
  readonly options?: readonly packets.PacketOpt[];
  readonly transport?: QueryToPlan['client']['transport'];
  readonly client?: string;
}

export function questionFor(name: string, type = 'A', questionClass = 1): Uint8Array {
  const number = typeNumber(type)!;
  return Buffer.concat([nameToWire(name), Buffer.from([number >> 8, number & 255, 0, questionClass])]);
}

export function queryToPlan(name: string, type = 'A', parts: QueryParts = {}): QueryToPlan {
  const remote = { address: parts.client ?? '10.244.0.7', port: 4000 };
  const opt = { type: 'OPT', name: '.', udpPayloadSize: 1232, flags: 0, options: parts.options ?? [] };
  const packet = packets.encode({
    type: 'query',
    id: 0x1234,
    flags: packets.RECURSION_DESIRED,
    questions: [{ name, type: type as packets.RecordType, class: 'IN' }],
    additionals: parts.options === undefined ? [] : [opt as unknown as packets.Answer],
  });
  const local = { address: '169.254.20.10', port: 53 };
  const client = { transport: parts.transport ?? overUdp, remote, local, reply() {} };
  return {
    id: 0x1234,
    flags: 0x0100,
    question: questionFor(name, type),
    remote: remote.address,
    packet,
    client,
    ordinal: 0,
  };
}

/** `a.test. A IN`. */
export function inWords(question: Uint8Array): string {
  const at = question.length - 4;
  return `${wireToName(question, 0)} ${typeName(u16(question, at))} ${className(u16(question, at + 2))}`;
}

/** The rules that these lines of `rewrite` mean. */
export function rulesOf(...lines: readonly string[]): readonly RewriteRule[] {
  const rewrites = lines.map((line) => ` rewrite ${line}\n`).join('');
  const [block] = parseConfig(`. {\n${rewrites} forward . 192.0.2.1\n}`, 'Corefile', loadOptions).blocks;
  return settingsOf(block, rewrite) ?? [];
}
