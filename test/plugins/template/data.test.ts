import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Pattern } from '../../../src/config/pattern.js';
import { nameToWire } from '../../../src/dns/names.js';
import { askedBy } from '../../../src/dns/query.js';
import { templateData } from '../../../src/plugins/template/data.js';
import { type Dictionary, isMethod, printed, type Structure } from '../../../src/plugins/template/values.js';
import type { MakeQuery } from '../../../src/resolve/route.js';

const query: MakeQuery = {
  id: 65535,
  flags: 0x0120,
  question: Buffer.concat([nameToWire('WWW.Example.'), Buffer.from([0, 28, 0, 1])]),
  remote: 'fd00::7',
};

function dataFor(source: string): Structure {
  const pattern = new Pattern(source);
  const asked = askedBy(query.question);
  return templateData(query, asked, 'example.', {
    groups: pattern.exec(asked.name)!,
    names: pattern.names,
  });
}

test('the question is read with its name in lower case', () => {
  assert.deepEqual(askedBy(query.question), { name: 'www.example.', type: 28, class: 1 });
});

test('the names that CoreDNS documents are there', () => {
  const { fields } = dataFor('.*');
  const { Zone, Name, Class, Type, Remote, Question, Meta } = fields;
  assert.equal(Object.keys(fields).join(' '), 'Zone Name Class Type Match Group Message Question Remote Meta');
  assert.deepEqual([Zone, Name, Class, Type, Remote], ['example.', 'www.example.', 'IN', 'AAAA', 'fd00::7']);
  assert.ok(isMethod(Meta));
  assert.equal(printed(Question), '{WWW.Example. 28 1}');
});

test('groups are known by number and by name', () => {
  const { Match, Group } = dataFor('^(?P<host>[a-z]+)\\.(x)?').fields;
  assert.deepEqual(Match, ['www.', 'www', '']);
  const expected = { '0': 'www.', '1': 'www', '2': '', host: 'www' };
  assert.deepEqual(Object.fromEntries((Group as Dictionary).entries), expected);
});

test('the message has the header’s flags', () => {
  const { Message } = dataFor('.*').fields;
  const { Id, RecursionDesired, AuthenticatedData, CheckingDisabled } = (Message as Structure).fields;
  assert.deepEqual([Id, RecursionDesired, AuthenticatedData, CheckingDisabled], [65535n, true, true, false]);
});
