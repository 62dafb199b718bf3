import assert from 'node:assert/strict';
import { it } from 'node:test';
import packets from 'dns-packet';
import { settingsOf } from '../../../src/config/plugins.js';
import { programVersion } from '../../../src/config/version.js';
import { chaos } from '../../../src/plugins/chaos/plugin.js';
import { blockOf } from '../../config/options.js';
import { podClient, query } from '../../resolve/context-fixture.js';

/** The texts of the answer, or `next`. */
function asks(line: string, name: string, type = 'TXT', questionClass = 3): string[] | 'next' {
  const settings = settingsOf(blockOf('forward . 10.0.0.1', line), chaos)!;
  const question = query(name, type).subarray(12);
  question.writeUInt16BE(questionClass, question.length - 2);
  const { maker } = chaos.start!(settings, {} as never)!;
  const made = maker!({ id: 7, flags: 0x0100, question, remote: '10.0.0.9' }, podClient);
  if (made.kind !== 'message') return made.kind as 'next';
  const answers = packets.decode(Buffer.from(made.message)).answers as packets.TxtAnswer[];
  for (const { ttl, class: answered, name: owner } of answers)
    assert.deepEqual([ttl, answered, owner.toLowerCase()], [0, 'CH', name.toLowerCase()]);
  return answers.map(({ data }) => String(data));
}

it('says its version, or what is written, and the name of the host', () => {
  for (const name of ['version.bind', 'VERSION.server'])
    assert.deepEqual(asks('chaos', name), [`zerohop-${programVersion()}`]);
  assert.deepEqual(asks('chaos "a \\"b\\" \\\\ c"', 'version.bind'), ['a "b" \\\\ c']);
  for (const name of ['hostname.bind', 'id.server']) assert.deepEqual(asks('chaos x', name), ['node-7']);
});

it('names its authors, each in a record, and none where none are written', () => {
  assert.deepEqual(asks('chaos x "A B" C', 'authors.bind'), ['A B', 'C']);
  assert.equal(asks('chaos x', 'authors.bind'), 'next');
});

it('leaves other names, types and classes to the next', () => {
  assert.equal(asks('chaos', 'version.example'), 'next');
  assert.equal(asks('chaos', 'version.bind', 'A'), 'next');
  assert.equal(asks('chaos', 'version.bind', 'TXT', 1), 'next');
});

it('refuses what no TXT record holds', () => {
  const long = 'x'.repeat(256);
  assert.throws(
    () => asks(`chaos ${long}`, 'version.bind'),
    /:3: chaos: "x{20}…" is too long; write 255 bytes at most/u,
  );
  assert.deepEqual(asks(`chaos ${long.slice(1)}`, 'version.bind'), [long.slice(1)]);
  assert.throws(() => asks('chaos {\n}', 'version.bind'), /chaos: takes no block/u);
});
