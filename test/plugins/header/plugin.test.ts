import assert from 'node:assert/strict';
import { test } from 'node:test';
import { settingsOf } from '../../../src/config/plugins.js';
import { flagAa, flagRa, flagRd } from '../../../src/dns/wire.js';
import { header } from '../../../src/plugins/header/plugin.js';
import { blockOf, warningsOf } from '../../config/options.js';

const headerOf = (...lines: string[]) =>
  settingsOf(blockOf('forward . 10.0.0.1', ...lines), header) ?? { recursionDesired: null, response: null };
const inBlock = (...lines: string[]) => headerOf('header {', ...lines, '}');

test('flags of answers are set and cleared', () => {
  assert.deepEqual(inBlock('response set ra'), { recursionDesired: null, response: { set: flagRa, clear: 0 } });
  assert.deepEqual(inBlock('response set ra aa', 'response clear rd'), {
    recursionDesired: null,
    response: { set: flagRa | flagAa, clear: flagRd },
  });
  assert.deepEqual(headerOf(), { recursionDesired: null, response: null });
});

test('a line without query or response is about responses, in any case of letters', () => {
  assert.deepEqual(inBlock('SET ra AA', 'clear Rd'), inBlock('response set ra aa', 'RESPONSE Clear rd'));
});

test('upstreams are asked with or without RD', () => {
  assert.deepEqual(inBlock('query set rd'), { recursionDesired: true, response: null });
  assert.deepEqual(inBlock('query clear rd'), { recursionDesired: false, response: null });
});

test('the last word about a flag counts, through all headers of the block', () => {
  const all = headerOf(
    'header {',
    'set aa ra',
    'clear aa',
    'query set rd',
    '}',
    'header {',
    'clear ra',
    'query clear rd',
    '}',
  );
  assert.deepEqual(all, { recursionDesired: false, response: { set: 0, clear: flagAa | flagRa } });
});

test('what means nothing in a query is a warning', () => {
  const [warning, ...others] = warningsOf('. {\nforward . 10.0.0.1\nheader {\nquery set aa rd\n}\n}\n');
  assert.match(warning, /header query: aa and ra have no meaning in a query/u);
  assert.deepEqual(others, []);
});

test('what is wrong is refused at its line', () => {
  assert.throws(() => headerOf('header'), /:3: header: has no rule/u);
  assert.throws(() => headerOf('header {', '}'), /:3: header: has no rule/u);
  assert.throws(() => headerOf('header x {', 'set aa', '}'), /:3: header: expects no arguments/u);
  const wrong: Readonly<Record<string, RegExp>> = {
    'put aa': /:4: header: does not know "put"; known: query, response, set, clear\./u,
    'query put aa': /:4: header query: the action must be set or clear, not "put"/u,
    query: /:4: header query: expects set or clear, then flags\./u,
    set: /:4: header set: expects flags: aa, ra or rd\./u,
    'response clear': /:4: header response: expects flags/u,
    'set ad': /:4: header set: a flag must be aa, ra or rd, not "ad"/u,
  };
  for (const [line, message] of Object.entries(wrong)) assert.throws(() => inBlock(line), { message }, line);
  assert.throws(() => inBlock('set aa {', 'x', '}'), /takes no block/u);
});
