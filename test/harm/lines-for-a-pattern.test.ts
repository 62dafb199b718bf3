/**
 * A pod asks for names made for the patterns of `errors consolidate`, `rewrite` and `template`: a matcher that goes one way
 * after the other takes seconds for each. What is asserted is a ratio to names that match at once, not a time.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { newWorld } from '../scenarios/world.js';

const label = 'a'.repeat(62);
/** 253 bytes, none of which is where a pattern below ends. */
const made = [label, label, label, 'a'.repeat(60)].join('.');
const queries = 200;

const patterns = [
  '^.*(a+)+(a+)+(a+)+$!',
  '((a*)*)*!',
  '(.*)a(.*)a(.*)a(.*)a!',
  '^(([a-z])+.)+[A-Z]([a-z])+$',
  '(a|aa)+!',
];
const directives: readonly [string, (pattern: string) => string][] = [
  ['errors consolidate', (pattern) => `errors {\n consolidate 5m "${pattern}"\n }`],
  ['rewrite name regex', (pattern) => `errors\n rewrite name regex "${pattern}" b.`],
  ['template match', (pattern) => `errors\n template IN A {\n match "${pattern}"\n fallthrough\n }`],
];

describe('names made for a pattern', () => {
  for (const [what, lines] of directives) {
    it(`take as long as others with ${what}`, async () => {
      for (const pattern of patterns) {
        const world = await newWorld({
          corefile: `. {\n bind 169.254.20.10\n ${lines(pattern)}\n forward . 10.96.0.10 {\n force_tcp\n }\n}\n`,
        });
        world.upstream.on(() => ({ rcode: 2 }));
        const client = world.client('10.244.0.9');
        const asking = async (name: string) => {
          const started = process.cpuUsage();
          const answers = Promise.all(
            Array.from({ length: queries }, (_, index) => client.asks(name, 'A', { id: index })),
          );
          await world.pass(2_000);
          for (const { rcode } of await answers) assert.equal(rcode, 'SERVFAIL');
          const { user, system } = process.cpuUsage(started);
          return (user + system) / 1_000;
        };
        const peaceMs = await asking('b.test');
        const attackMs = await asking(made);
        // A first round that is too quick to measure is taken for a tenth of a second; V8 takes minutes for one of these.
        assert.ok(attackMs < 5 * Math.max(peaceMs, 100), `${pattern}: ${peaceMs} ms, then ${attackMs} ms`);
      }
    });
  }
});
