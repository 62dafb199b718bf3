import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseConfig } from '../../../src/config/load.js';
import { type Acl, newAcl } from '../../../src/plugins/acl/rules.js';
import { loadOptions, query } from '../../resolve/context-fixture.js';

function aclOf(lines: string): Acl {
  const acl = newAcl(
    parseConfig(`. {\n ${lines}\n forward . 192.0.2.1\n}`, 'Corefile', loadOptions).blocks[0].traits.access,
  );
  assert.ok(acl);
  return acl;
}

/** REFUSED and NOERROR with their extended error, or `pass` or `drop`. */
function says(acl: Acl, remote: string, type = 'A', name = 'a.test'): string {
  const verdict = acl.guard({ id: 1, flags: 0, question: query(name, type).subarray(12), remote, ordinal: 3 });
  return verdict.kind === 'empty' ? `${verdict.rcode} ${verdict.extendedError.code}` : verdict.kind;
}

const refused = '5 15';
const filtered = '0 17';

describe('newAcl', () => {
  it('blocks, filters and drops by type and network', () => {
    const acl = aclOf('acl {\n block type A net 192.168.0.0/16\n filter type MX\n drop net fd00::/8\n }');
    assert.equal(says(acl, '192.168.7.7'), refused);
    assert.equal(says(acl, '192.168.7.7', 'AAAA'), 'pass');
    assert.equal(says(acl, '10.0.0.1'), 'pass');
    assert.equal(says(acl, '10.0.0.1', 'MX'), filtered);
    assert.equal(says(acl, 'fd00::1%eth0'), 'drop');
  });

  it('goes by the first rule that fits: all but some, and some alone', () => {
    const butSome = aclOf('acl {\n allow net 192.168.1.0/24\n block net 192.168.0.0/16\n }');
    assert.deepEqual(
      ['192.168.1.1', '192.168.2.1', '10.0.0.1'].map((each) => says(butSome, each)),
      ['pass', refused, 'pass'],
    );
    const someAlone = aclOf('acl {\n allow net 192.168.0.0/24 192.168.1.0/24\n block\n }');
    assert.deepEqual(
      ['192.168.1.1', '192.168.2.1', '::1'].map((each) => says(someAlone, each)),
      ['pass', refused, refused],
    );
  });

  it('goes by the first directive that has such a rule and the name in its zones', () => {
    const acl = aclOf('acl b.test {\n allow net 10.0.0.1\n }\n acl test {\n block net 10.0.0.0/8\n }');
    assert.equal(says(acl, '10.0.0.1', 'A', 'x.b.test'), 'pass');
    assert.equal(says(acl, '10.0.0.2', 'A', 'x.b.test'), refused);
    assert.equal(says(acl, '10.0.0.1', 'A', 'x.c.test'), refused);
    assert.equal(says(acl, '10.0.0.1', 'A', 'x.example'), 'pass');
  });

  it('counts what it says, under the longest zone of the directive', () => {
    const acl = aclOf('acl test a.test {\n block net 10.0.0.1\n filter net 10.0.0.2\n drop net 10.0.0.3\n }');
    for (const remote of ['10.0.0.1', '10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.0.4']) says(acl, remote);
    says(acl, '10.0.0.1', 'A', 'b.test');
    assert.deepEqual(
      [...acl.counts.values()].map(({ ordinal, action, zone, count }) => `${ordinal} ${action} ${zone} ${count}`),
      ['3 block a.test. 2', '3 filter a.test. 1', '3 drop a.test. 1', '3 allow  1', '3 block test. 1'],
    );
  });

  it('judges other names as it does those of queries, and counts only what may not be had', () => {
    const acl = aclOf('acl {\n block net 10.0.0.0/8\n drop net fe80::/10\n }');
    const judge = (remote: string) => acl.judge({ question: query('a.test', 'A').subarray(12), remote, ordinal: 3 });
    assert.deepEqual(['10.0.0.1', 'fe80::1%eth0', '192.0.2.1'].map(judge), ['block', 'drop', 'allow']);
    assert.deepEqual(
      [...acl.counts.values()].map(({ action, count }) => [action, count]),
      [
        ['block', 1],
        ['drop', 1],
      ],
    );
  });
});
