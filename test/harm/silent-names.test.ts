/**
 * A client asks name after name for which nobody answers, or late: of a zone of its own whose servers are silent. What others
 * ask meanwhile is answered at once, by the same upstream, whether it serves each connection in order or not.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { askAgainAfterMs } from '../../src/limits.js';
import { Asking, answerTo, type Query, ScriptedUpstream, TestWorld } from '../upstream/scripted.js';

const seconds = 5;
/** The upstream's time for a good name; the others may wait five times as long. */
const goodMs = 2;
const lateMs = 5 * goodMs;
/** Until it is known that a client asks much, one that asks in the same milliseconds may be asked for behind its names. */
const beginningShare = 0.03;

interface Attack {
  readonly perTurn: number;
  readonly everyMs: number;
  readonly clients: number;
}

const attacks: Record<string, Attack> = {
  'one each millisecond': { perTurn: 1, everyMs: 1, clients: 1 },
  '3,000 each second': { perTurn: 3_000, everyMs: 1_000, clients: 1 },
  '300 each second': { perTurn: 300, everyMs: 1_000, clients: 1 },
  '500 each of four clients': { perTurn: 2_000, everyMs: 1_000, clients: 4 },
};

/** An upstream that answers slow names after so long; `in order` it does not look at what comes behind one on a connection. */
function slowUpstream(world: TestWorld, upstream: ScriptedUpstream, slowMs: number, order: 'in order' | 'any'): void {
  const lines = new Map<unknown, Query[]>();
  const serve = (query: Query, then: () => void): void => {
    world.clock.after(query.name.startsWith('slow') ? slowMs : goodMs, () => {
      query.reply(answerTo(query));
      then();
    });
  };
  upstream.onQuery = (query) => {
    if (order === 'any' || query.stream === null) return serve(query, () => {});
    const line = lines.get(query.stream) ?? [];
    lines.set(query.stream, line);
    const next = (): void => {
      line.shift();
      if (line.length > 0) serve(line[0], next);
    };
    if (line.push(query) === 1) serve(query, next);
  };
}

for (const transport of ['tcp', 'udp'] as const) {
  for (const order of transport === 'tcp' ? (['in order', 'any'] as const) : (['any'] as const)) {
    for (const slowMs of [400, 1_500, 60_000]) {
      describe(`over ${transport}, answered ${order}, slow names after ${slowMs} ms`, () => {
        for (const [what, { perTurn, everyMs, clients }] of Object.entries(attacks)) {
          it(`${what}: the others wait for nothing`, async () => {
            const world = new TestWorld();
            const upstream = await ScriptedUpstream.start(world);
            slowUpstream(world, upstream, slowMs, order);
            const forwards = world.start({ transport });
            const asking = new Asking(world, forwards);
            // After as many answers the upstream's pace is known.
            for (let n = 0; n < 1_200; n++) {
              asking.ask(`warm${n}.example`, { client: 'victim' });
              if (n % 4 === 3) await world.clock.pass(2 * goodMs);
            }
            const victims: { readonly askedMs: number; readonly of: ReturnType<typeof asking.ask> }[] = [];
            for (let ms = 0; ms < seconds * 1_000; ms++) {
              for (let n = 0; ms % everyMs === 0 && n < perTurn; n++) {
                asking.ask(`slow${ms}-${n}.example`, { client: `attacker ${n % clients}` });
              }
              if (ms % 50 === 0) {
                victims.push({ askedMs: world.clock.nowMs(), of: asking.ask(`v${ms}.example`, { client: 'victim' }) });
              }
              await world.clock.pass(1);
            }
            await world.clock.pass(5_000);
            const took = victims.map(({ askedMs, of }) =>
              of.got?.text.startsWith('rcode 0') ? of.got.atMs - askedMs : -1,
            );
            assert.equal(took.filter((ms) => ms < 0).length, 0, 'questions that failed');
            took.sort((one, other) => one - other);
            const late = took.filter((ms) => ms > lateMs);
            assert.ok(late.length <= took.length * beginningShare, `${late} ms`);
            assert.ok(took.at(-1)! <= askAgainAfterMs, `${took.at(-1)} ms`);
            forwards.stop();
          });
        }
      });
    }
  }
}
