import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import packets from 'dns-packet';
import { parseConfig } from '../../../src/config/load.js';
import { settingsOf } from '../../../src/config/plugins.js';
import { byHosts, hostsMaker } from '../../../src/plugins/hosts/answer.js';
import { hosts } from '../../../src/plugins/hosts/plugin.js';
import { parseHosts } from '../../../src/plugins/hosts/table.js';
import type { Made } from '../../../src/resolve/route.js';
import { type Decoded, loadOptions, query } from '../../resolve/context-fixture.js';

/** What `hosts` with these lines makes of a question. */
function asks(lines: string, name: string, type: string, recordClass = 1): Made {
  const [block] = parseConfig(`. {\n hosts /etc/hosts {\n ${lines}\n }\n}`, 'Corefile', loadOptions).blocks;
  const settings = settingsOf(block, hosts)!;
  const question = query(name, type).subarray(12);
  question.writeUInt16BE(recordClass, question.length - 2);
  return hostsMaker(settings, () => parseHosts(settings.inline, settings))({
    id: 7,
    flags: 0x0100,
    question,
    remote: '10.0.0.9',
  });
}

function decoded(made: Made): Decoded {
  assert.equal(made.kind, 'message');
  assert.equal((made as Extract<Made, { kind: 'message' }>).by, byHosts);
  return packets.decode(Buffer.from((made as Extract<Made, { kind: 'message' }>).message)) as Decoded;
}

const data = (made: Made) => (decoded(made).answers as packets.StringAnswer[]).map((answer) => answer.data);
const entries = '10.0.0.1 a.test www.a.test\n 10.0.0.2 a.test\n fd00::1 a.test\n 10.0.0.3 *.apps.test';
const all = `${entries}\n fallthrough`;

describe('hostsMaker', () => {
  it('answers with all addresses of a name, authoritatively, in the client’s spelling of it', () => {
    const answer = decoded(asks(entries, 'A.test', 'A'));
    assert.deepEqual(data(asks(entries, 'A.test', 'A')), ['10.0.0.1', '10.0.0.2']);
    const [first] = answer.answers as packets.StringAnswer[];
    assert.deepEqual([first.name, first.ttl, answer.id, answer.flag_aa], ['A.test', 3600, 7, true]);
    assert.deepEqual(data(asks(entries, 'a.test', 'AAAA')), ['fd00::1']);
    assert.deepEqual(data(asks(entries, 'x.apps.test', 'A')), ['10.0.0.3']);
    assert.equal(decoded(asks(`${entries}\n ttl 5`, 'a.test', 'A')).answers?.[0].type, 'A');
    assert.equal((decoded(asks(`${entries}\n ttl 5`, 'a.test', 'A')).answers as packets.StringAnswer[])[0].ttl, 5);
  });

  it('leads from an address back to its names, unless it is not to', () => {
    assert.deepEqual(data(asks(entries, '1.0.0.10.in-addr.arpa', 'PTR')), ['a.test', 'www.a.test']);
    assert.deepEqual(asks(`${entries}\n no_reverse`, '1.0.0.10.in-addr.arpa', 'PTR'), { kind: 'next' });
    assert.deepEqual(asks(entries, '9.0.0.10.in-addr.arpa', 'PTR'), { kind: 'next' }, 'somebody else’s');
    assert.deepEqual(asks(entries, 'a.test', 'PTR'), { kind: 'next' });
  });

  it('has no data of other types for a name that it knows', () => {
    for (const type of ['TXT', 'MX']) {
      const answer = decoded(asks(all, 'a.test', type));
      assert.deepEqual([answer.rcode, answer.answers], ['NOERROR', []]);
    }
    assert.deepEqual(data(asks(all, 'www.a.test', 'AAAA')), []);
  });

  it('lets these fall through where that is wished, but not the types it could hold', () => {
    const lines = `${all}\n fallthrough_unsupported`;
    assert.deepEqual(asks(lines, 'a.test', 'TXT'), { kind: 'next' });
    assert.deepEqual(data(asks(lines, 'www.a.test', 'AAAA')), []);
  });

  it('fails what it does not know, or lets it fall through, for all zones or for some', () => {
    const failed = { kind: 'servfail', text: 'hosts at Corefile:2: b.test. is not in it and no fallthrough' };
    assert.deepEqual(asks(entries, 'b.test', 'A'), failed);
    assert.deepEqual(asks(all, 'b.test', 'A'), { kind: 'next' });
    const some = `${entries}\n fallthrough example`;
    assert.deepEqual(asks(some, 'b.test', 'A'), failed);
    assert.deepEqual(asks(some, 'b.example', 'A'), { kind: 'next' });
  });

  it('leaves other classes to others', () => {
    assert.deepEqual(asks(entries, 'a.test', 'A', 3), { kind: 'next' });
  });
});
