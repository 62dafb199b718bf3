import assert from 'node:assert/strict';
import { it } from 'node:test';
import packets from 'dns-packet';
import { any, byAny } from '../../../src/plugins/any/plugin.js';
import { podClient, query } from '../../resolve/context-fixture.js';

const asks = (type: string) =>
  any.start!(true, {} as never)!.maker!(
    { id: 7, flags: 0x0100, question: query('A.test', type).subarray(12), remote: '10.0.0.9' },
    podClient,
  );

it('ANY gets one HINFO, and other questions go on', () => {
  const made = asks('ANY');
  assert.ok(made.kind === 'message' && made.by === byAny);
  const [hinfo, ...more] = packets.decode(Buffer.from(made.message)).answers as packets.HInfoAnswer[];
  assert.deepEqual([hinfo.name, hinfo.type, hinfo.ttl, more], ['A.test', 'HINFO', 8482, []]);
  assert.deepEqual([hinfo.data.cpu, hinfo.data.os].map(String), ['ANY obsoleted', 'See RFC 8482']);
  assert.deepEqual(asks('A'), { kind: 'next' });
});
