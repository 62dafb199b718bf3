/** The facts of one ordinary query, for tests, each of which may be replaced. */
import type { QueryLogRecord } from '../../src/resolve/worker-context.js';

export function queryFacts(parts: Partial<QueryLogRecord> = {}): QueryLogRecord {
  return {
    remote: { address: '127.0.0.1', port: 55555 },
    local: { address: '169.254.20.10', port: 53 },
    transport: 'udp',
    id: 12345,
    opcode: 0,
    name: 'name.example.',
    type: 1,
    class: 1,
    queryBytes: 39,
    dnssecOk: false,
    bufsizeBytes: 1232,
    rcode: 0,
    flags: 0x8180,
    answerBytes: 54,
    answerRecords: 1,
    authorityType: 0,
    durationMs: 1.2,
    upstream: null,
    query: new Uint8Array(0),
    answer: new Uint8Array(0),
    ...parts,
  };
}
