/** The live page of the whole program: what its stream says after queries, failures and reloads. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { newWorld, simpleCorefile, type World } from './world.js';

const at = '127.0.0.1:9254';

// biome-ignore lint/suspicious/noExplicitAny: what a page reads, which has no types
type Events = Readonly<Record<'hello' | 'present' | 'lists', any>>;

/** What a page gets when it connects. */
async function connect(world: World): Promise<Events> {
  const { status, body, rest } = await world.get(at, '/events');
  assert.equal(status, 200);
  rest?.destroy();
  const events = Object.fromEntries(
    [...body.matchAll(/^event: (\w+)\ndata: (.*)\n\n/gm)].map(([, name, data]) => [name, JSON.parse(data)]),
  );
  return events as Events;
}

describe('the live page of the program', () => {
  it('is not there unless it is wanted', async () => {
    const world = await newWorld();
    assert.equal((await world.get(at, '/')).status, 404);
    await world.stop();
  });

  it('has the queries of the last seconds, and those of the last minutes', async () => {
    const world = await newWorld({ page: 'on' });
    world.upstream.answers('a.example.', 'A', ['10.0.0.1']);
    for (let time = 0; time < 10; time++) await world.asks('a.example.', 'A');
    await world.passSeconds(10);
    const { hello, present } = await connect(world);
    const sum = (column: string): number =>
      hello.history.values[hello.history.columns.indexOf(column)].reduce((all: number, rate: number) => all + rate, 0);
    assert.ok(Math.abs(10 * sum('hit') - 9) < 0.01, `${sum('hit')}`);
    assert.ok(Math.abs(10 * sum('miss') - 1) < 0.01, `${sum('miss')}`);
    assert.deepEqual(
      present.upstreams.map(({ to, state }: Record<string, unknown>) => [to, state]),
      [['10.96.0.10:53', 'up']],
    );
    assert.equal(present.role, 'serving');
    await world.stop();
  });

  it('has every query that failed with the reason, whoever failed', async () => {
    const world = await newWorld({ page: 'on' });
    world.upstream.servfail('bad.example.');
    world.upstream.refused('refused.example.');
    world.upstream.silent('silent.example.');
    for (const name of ['bad', 'refused', 'silent']) await world.asks(`${name}.example.`, 'A');
    const { lists } = await connect(world);
    const shown = lists.failures.map(({ name, rcode }: Record<string, unknown>) => [name, rcode]);
    assert.deepEqual(shown, [
      ['silent.example.', 'SERVFAIL'],
      ['refused.example.', 'REFUSED'],
      ['bad.example.', 'SERVFAIL'],
    ]);
    assert.match(lists.failures[0].reason, /timeout/);
    assert.equal(lists.failures[2].reason, 'upstream 10.96.0.10:53 answered SERVFAIL');
    await world.stop();
  });

  it('has the configuration in force, since when, and whether a later one was refused', async () => {
    const world = await newWorld({ page: 'on' });
    const { hello, present } = await connect(world);
    assert.equal(hello.corefile.pieces[0].text, simpleCorefile);
    await world.passSeconds(60);
    const next = simpleCorefile.replace('cache', 'cache 60');
    await world.reload(next);
    const after = await connect(world);
    assert.equal(after.hello.corefile.pieces[0].text, next);
    assert.ok(after.present.corefile.sinceMs >= present.corefile.sinceMs + 60_000);
    await world.reload('. {\n nonsense\n}\n');
    const refused = await connect(world);
    assert.deepEqual([refused.hello.corefile.pieces[0].text, refused.present.corefile.isLastRefused], [next, true]);
    await world.stop();
  });

  it('leaves its port to the Corefile, which may name the same, and says so', async () => {
    const world = await newWorld({
      page: 'on',
      corefile: simpleCorefile.replace('cache', `cache\n  prometheus ${at}`),
    });
    assert.equal(world.said('-page: port 9254 is one of the Corefile').length, 1);
    assert.equal((await world.get(at, '/metrics')).status, 200);
    await world.stop();
  });
});
