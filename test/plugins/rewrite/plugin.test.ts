import assert from 'node:assert/strict';
import { test } from 'node:test';
import { settingsOf } from '../../../src/config/plugins.js';
import { rewriteRulesMax } from '../../../src/limits.js';
import type { RewriteChange, RewriteRule } from '../../../src/plugins/rewrite/name-rules.js';
import { rewrite } from '../../../src/plugins/rewrite/plugin.js';
import { blockOf, configOf, warningsOf } from '../../config/options.js';

function rules(...lines: string[]): readonly RewriteRule[] {
  return settingsOf(blockOf('forward . 10.0.0.1', ...lines), rewrite) ?? [];
}

function change(line: string): RewriteChange {
  return rules(`rewrite ${line}`)[0].change;
}

test('rules are kept in the order written, and stop unless they say continue', () => {
  const all = rules('rewrite name a b', 'rewrite CONTINUE type ANY HINFO', 'rewrite stop class CH IN');
  assert.deepEqual(
    all.map(({ then, change: { field }, at: { line } }) => [field, then, line]),
    [
      ['name', 'stop', 3],
      ['type', 'continue', 4],
      ['class', 'stop', 5],
    ],
  );
  assert.deepEqual(rules(), []);
});

test('types and classes have names or numbers', () => {
  assert.deepEqual(change('type ANY HINFO'), { field: 'type', from: 255, to: 13 });
  assert.deepEqual(change('type TYPE65 aaaa'), { field: 'type', from: 65, to: 28 });
  assert.deepEqual(change('class CH IN'), { field: 'class', from: 3, to: 1 });
});

test('a TTL is a number of seconds or a range that may be open', () => {
  const seconds = (text: string) => {
    const { minSeconds, maxSeconds } = change(`ttl example.org ${text}`) as Extract<RewriteChange, { field: 'ttl' }>;
    return [minSeconds, maxSeconds];
  };
  assert.deepEqual(seconds('15'), [15, 15]);
  assert.deepEqual(seconds('0'), [0, 0]);
  assert.deepEqual(seconds('30-300'), [30, 300]);
  assert.deepEqual(seconds('30-'), [30, 2 ** 31 - 1]);
  assert.deepEqual(seconds('-300'), [0, 300]);
});

test('TTLs and rcodes are of names that match in one of five ways, exactly where none is written', () => {
  assert.deepEqual(change('ttl suffix .example.org 15'), {
    field: 'ttl',
    match: { how: 'suffix', text: '.example.org.' },
    minSeconds: 15,
    maxSeconds: 15,
  });
  assert.deepEqual(change('rcode Example.org SERVFAIL 0'), {
    field: 'rcode',
    match: { how: 'exact', text: 'example.org.' },
    from: 2,
    to: 0,
  });
  assert.deepEqual(change('rcode prefix a- NXDOMAIN refused'), {
    field: 'rcode',
    match: { how: 'prefix', text: 'a-' },
    from: 3,
    to: 5,
  });
});

test('an alias leads elsewhere', () => {
  assert.deepEqual(change('cname exact a.cdn.example. B.cdn.example'), {
    field: 'cname',
    match: { how: 'exact', text: 'a.cdn.example.' },
    to: 'b.cdn.example.',
  });
  assert.deepEqual(change('cname a b'), { field: 'cname', match: { how: 'exact', text: 'a.' }, to: 'b.' });
});

test('a rule may stand in a block, its words on as many lines as one likes', () => {
  const [inBlock] = rules('rewrite continue {', 'ttl regex (.*)\\.coredns\\.rocks 15', '}');
  assert.equal(inBlock.then, 'continue');
  assert.deepEqual(
    { ...inBlock.change, match: null },
    {
      field: 'ttl',
      match: null,
      minSeconds: 15,
      maxSeconds: 15,
    },
  );
  const [two] = rules('rewrite {', 'name suffix .a .b', 'answer auto', '}');
  assert.deepEqual(two.change, change('name suffix .a .b answer auto'));
});

test('what is wrong is refused at its line', () => {
  const wrong: Readonly<Record<string, RegExp>> = {
    '': /^\/etc\/Corefile:3: rewrite: expects name, type, class, ttl, rcode, cname or edns0\./u,
    continue: /:3: rewrite: expects name, type/u,
    'nam a b': /:3: rewrite: does not know "nam"; did you mean name\?/u,
    'something a b': /:3: rewrite: does not know "something"; known: name, /u,
    'answer name a b': /:3: rewrite: answer must follow a name rule/u,
    'type ANY': /:3: rewrite type: expects FROM TO/u,
    'type ANY HINFO A': /:3: rewrite type: expects FROM TO/u,
    'type ANY NONE': /:3: rewrite type: "NONE" is not a record type/u,
    'class CH XX': /:3: rewrite class: "XX" is not a class/u,
    'ttl example.org': /:3: rewrite ttl: expects/u,
    'ttl example.org soon': /:3: rewrite ttl: "soon" must be seconds/u,
    'ttl example.org -': /:3: rewrite ttl: "-" must be seconds/u,
    'ttl example.org 9-3': /:3: rewrite ttl: "9-3" must be seconds/u,
    'ttl example.org 4294967296': /:3: rewrite ttl: /u,
    'ttl regex ( 15': /:3: rewrite ttl: "\(" is not a usable pattern/u,
    'rcode example.org SERVFAIL': /:3: rewrite rcode: expects/u,
    'rcode example.org SERVFAIL FINE': /:3: rewrite rcode: "FINE" is not an rcode/u,
    'rcode example.org SERVFAIL BADVERS': /:3: rewrite rcode: "BADVERS" does not fit in a header/u,
    'cname a': /:3: rewrite cname: expects/u,
    'cname a b..c': /:3: rewrite cname: "b\.\.c" has an empty label/u,
  };
  for (const [line, message] of Object.entries(wrong)) assert.throws(() => rules(`rewrite ${line}`), { message }, line);
  assert.throws(() => rules('rewrite {', 'name a b {', 'x', '}', '}'), /:4: rewrite name: takes no block/u);
});

test('a rule that hides failures is a warning', () => {
  const [warning, ...others] = warningsOf('. {\nforward . 10.0.0.1\nrewrite rcode a.test SERVFAIL NOERROR\n}\n');
  assert.match(warning, /rewrite rcode: makes failures look like names without records/u);
  assert.deepEqual(others, []);
});

test('there are so many rules and no more', () => {
  const some = Array.from({ length: rewriteRulesMax }, () => 'rewrite name a b');
  assert.equal(rules(...some).length, rewriteRulesMax);
  assert.throws(() => configOf(`. {\n${[...some, 'rewrite name a b'].join('\n')}\n}\n`), /:1002: rewrite: at most /u);
});
