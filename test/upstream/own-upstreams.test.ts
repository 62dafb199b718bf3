import assert from 'node:assert/strict';
import { describe, it, test } from 'node:test';
import { waysOf } from '../../src/config/returning.js';
import type { OwnListeners } from '../../src/upstream/endpoint.js';
import { OwnUpstreams, ownListeners } from '../../src/upstream/own-upstreams.js';
import type { Upstream } from '../../src/upstream/upstream.js';
import { configOf } from '../config/options.js';
import { forwardConfig, question, server, TestWorld, targets } from './scripted.js';

const config = forwardConfig({ to: targets(1, 2, 3) });

/** Three upstreams; `ours` says which zones come back from which. */
function ownUpstreams(ours: Map<number, string[]>) {
  const world = new TestWorld();
  const asked: string[] = [];
  const ways: OwnListeners = {
    ...world.own,
    comesBack(...how) {
      asked.push(how[1].address);
      return world.own.comesBack(...how);
    },
  };
  const change = (): void => {
    world.ours.clear();
    for (const [number, zones] of ours) world.ours.set(server(number).address, zones);
  };
  change();
  const upstreams = [1, 2, 3].map((number) => {
    return { endpoint: server(number), stats: { looping: false } } as unknown as Upstream;
  });
  const own = new OwnUpstreams(config, ways, world.log);
  const looping = () => upstreams.map(({ stats }) => stats.looping);
  const mayAsk = (name: string) =>
    own.mayAsk(upstreams, question(name)).map((upstream) => upstreams.indexOf(upstream) + 1);
  return { own, upstreams, change, looping, mayAsk, logged: world.logged, asked };
}

describe('OwnUpstreams', () => {
  it('leaves those of others alone', () => {
    const { own, upstreams, looping, mayAsk, asked, logged } = ownUpstreams(new Map());
    own.judge(upstreams);
    assert.deepEqual([looping(), mayAsk('a.test'), asked, logged], [[false, false, false], [1, 2, 3], [], []]);
  });

  it('asks no more of one of which all comes back, and says so once', () => {
    const { own, upstreams, looping, logged } = ownUpstreams(new Map([[2, ['.']]]));
    own.judge(upstreams);
    own.judge(upstreams);
    assert.deepEqual([looping(), own.isReturning(upstreams[1])], [[false, true, false], true]);
    assert.deepEqual(logged, [
      "error Corefile:1: upstream 10.0.0.2:53 is this server's own address, and its queries come back here, so it is not " +
        'used; write the address of a real resolver in this forward or its resolv.conf',
    ]);
  });

  it('keeps from one what comes back, where that is not all, and looks at no other', () => {
    const { own, upstreams, looping, mayAsk, asked, logged } = ownUpstreams(
      new Map([
        [2, ['a.test.']],
        [3, []],
      ]),
    );
    own.judge(upstreams);
    assert.deepEqual(
      [looping(), mayAsk('x.a.test'), mayAsk('b.test')],
      [
        [false, false, false],
        [1, 3],
        [1, 2, 3],
      ],
    );
    assert.deepEqual(new Set(asked), new Set(['10.0.0.2', '10.0.0.3']));
    assert.match(logged.join(), /^warn Corefile:1: upstream 10\.0\.0\.2:53 .* names in a\.test\. come back here, .*$/u);
  });

  it('judges anew when the ways are others, and leaves to `loop` what that has found', () => {
    const ours = new Map([[2, ['.']]]);
    const { own, upstreams, change, looping } = ownUpstreams(ours);
    own.judge(upstreams);
    upstreams[2].stats.looping = true;
    ours.set(2, []);
    ours.set(1, ['.']);
    change();
    own.judge(upstreams);
    assert.deepEqual(looping(), [true, false, true]);
  });
});

test('ownListeners reads the question, and knows the way from its block', () => {
  const { blocks } = configOf(
    '.:1 {\nbind 127.0.0.1\nforward . 127.0.0.1:2\n}\na.test:2 {\nbind 127.0.0.1\nforward . 127.0.0.1:1\n}\n',
  );
  let changes = 0;
  const ways = ownListeners(waysOf(blocks), blocks[0], () => changes++);
  const endpoint = { address: '127.0.0.1', port: 2 };
  const [forward] = blocks[0].forwards;
  assert.deepEqual([ways.isOwn(endpoint), ways.isOwn({ ...endpoint, port: 3 })], [true, false]);
  assert.deepEqual(ways.returning(forward, endpoint), { zones: ['a.test.'], isAll: false });
  assert.deepEqual(
    ['X.A.Test', 'b.test'].map((name) => ways.comesBack(forward, endpoint, question(name))),
    [true, false],
  );
  ways.changed();
  assert.equal(changes, 1);
});
