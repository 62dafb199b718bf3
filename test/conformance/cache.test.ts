/** What is kept, for how long, and what becomes of it when its time is over. */
import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { eventually } from '../real/commands.js';
import { address, record, response, type SoaParts, soa } from './answers.js';
import { bytes16, bytes32, query, rd, readMessage, types, type WireMessage, wireName } from './message.js';
import { suite, type WithUpstream } from './subject.js';

const { withUpstream } = suite({ lines: 'cache 300', transport: 'force_tcp' });

/** `LABEL.conformance.test.`, with an OPT. */
function about(label: string, type: number = types.A): Buffer {
  return query({ name: `${label}.conformance.test`, type, opt: {} });
}

function errorsOf({ opt }: WireMessage): number[] {
  return (opt?.options ?? []).filter(({ code }) => code === 15).map(({ data }) => data.readUInt16BE(0));
}

/** Asks until the answer is such; the clock here is the real one. */
function until({ asks }: WithUpstream, packet: Buffer, isSo: (answer: WireMessage) => boolean): Promise<WireMessage> {
  return eventually('such an answer', async () => {
    const answer = await asks(packet);
    return isSo(answer) ? answer : undefined;
  });
}

withUpstream('RFC 1035 3.2.1: TTL 0 is for those who wait for it, and not kept', async ({ asks, upstream }) => {
  upstream.scripts('zero', ({ query: asked }) => response(asked, { answers: [address(1, { ttl: 0 })] }));
  for (const times of [1, 2]) {
    const { records } = await asks(about('zero'));
    assert.deepEqual([records[0].ttl, upstream.asked('zero').length], [0, times]);
  }
});

withUpstream('RFC 2181 8: a TTL with the highest bit set is 0', async ({ asks, upstream }) => {
  upstream.scripts('high', ({ query: asked }) => response(asked, { answers: [address(1, { ttl: 0x80000010 })] }));
  for (const times of [1, 2]) {
    const { records } = await asks(about('high'));
    assert.deepEqual([records[0].ttl, upstream.asked('high').length], [0, times]);
  }
});

function denies(rcode: number, parts: SoaParts | null) {
  return ({ query: asked }: { readonly query: Buffer }) =>
    response(asked, { rcode, authorities: parts === null ? [] : [soa(parts)] });
}

withUpstream('RFC 2308 5: a denial is kept for the smaller of TTL and MINIMUM of its SOA', async (subject) => {
  for (const [label, parts] of Object.entries({ ttl: { ttl: 20, minimum: 40 }, minimum: { ttl: 40, minimum: 20 } })) {
    for (const rcode of [0, 3]) {
      const name = `${label}${rcode}`;
      subject.upstream.scripts(name, denies(rcode, parts));
      for (const time of ['asked', 'cached']) {
        const answer = await subject.asks(about(name));
        assert.deepEqual([answer.rcode, answer.records[0].type], [rcode, types.SOA], time);
        assert(answer.records[0].ttl <= 20 && answer.records[0].ttl >= 18, `${answer.records[0].ttl} s`);
      }
      assert.equal(subject.upstream.asked(name).length, 1);
    }
  }
});

withUpstream('RFC 2308 5: a denial without a SOA is not kept', async ({ asks, upstream }) => {
  for (const rcode of [0, 3]) {
    const name = `bare${rcode}`;
    upstream.scripts(name, denies(rcode, null));
    for (const times of [1, 2]) {
      assert.equal((await asks(about(name))).rcode, rcode);
      assert.equal(upstream.asked(name).length, times);
    }
  }
});

withUpstream('RFC 2308 2.2: an alias that leads to nothing is not kept without a SOA', async ({ asks, upstream }) => {
  const alias = record({ type: types.CNAME, data: wireName('nothing.test') });
  upstream.scripts('alias', ({ query: asked }) => response(asked, { answers: [alias] }));
  for (const times of [1, 2]) {
    assert.equal((await asks(about('alias'))).records[0].type, types.CNAME);
    assert.equal(upstream.asked('alias').length, times);
  }
});

withUpstream('RFC 1035 3.2.1: an additional record with TTL 0 is given once, its answer is kept', async (subject) => {
  const [short, long] = [0, 60].map((ttl) => address(1, { ttl, owner: wireName('other.test') }));
  for (const [label, additional, left] of [
    ['glue', short, 0],
    ['lasting', long, 1],
  ] as const) {
    const sections = { answers: [address(1, { ttl: 60 })], additionals: [additional] };
    subject.upstream.scripts(label, ({ query: asked }) => response(asked, sections));
    assert.equal((await subject.asks(about(label))).records.length, 2);
    assert.equal((await subject.asks(about(label))).records.length, 1 + left);
    assert.equal(subject.upstream.asked(label).length, 1);
  }
});

withUpstream(
  'RFC 4034 3.1.5: an answer is kept no longer than its signatures are valid',
  async ({ asks, upstream }) => {
    const wallSeconds = Math.floor(Date.now() / 1000);
    const signature = (expiration: number) => {
      const fixed = [...bytes16(types.A), 8, 3, ...[60, expiration, wallSeconds - 600].flatMap(bytes32), ...bytes16(1)];
      const data = Buffer.concat([Buffer.from(fixed), wireName('test'), Buffer.alloc(64, 1)]);
      return record({ type: types.RRSIG, ttl: 60, data });
    };
    for (const [label, expiration, asked] of [
      ['signed', wallSeconds + 600, 1],
      ['expired', wallSeconds - 1, 2],
    ] as const) {
      const answers = [address(1, { ttl: 60 }), signature(expiration)];
      upstream.scripts(label, (one) => response(one.query, { answers, opt: { flags: 0x8000 } }));
      const packet = query({ name: `${label}.conformance.test`, opt: { flags: 0x8000 } });
      for (let times = 0; times < 2; times++) assert.equal((await asks(packet)).records.length, 2);
      assert.equal(upstream.asked(label).length, asked);
    }
  },
);

withUpstream('RFC 2308 5: NODATA is of one type', async ({ asks, upstream }) => {
  upstream.scripts('typed', ({ query: asked }) =>
    readMessage(asked).questions[0].type === types.A
      ? response(asked, { answers: [address(1)] })
      : response(asked, { authorities: [soa({ ttl: 60, minimum: 60 })] }),
  );
  assert.equal((await asks(about('typed', types.AAAA))).records[0].type, types.SOA);
  assert.equal((await asks(about('typed'))).records[0].type, types.A);
});

// A server that answers AAAA with NXDOMAIN where there is an A (RFC 4074 4.2) would take the A away.
withUpstream('RFC 2308 5 (differs): NXDOMAIN is kept for the type that was asked', async ({ asks, upstream }) => {
  upstream.scripts('broken', ({ query: asked }) =>
    readMessage(asked).questions[0].type === types.A
      ? response(asked, { answers: [address(1)] })
      : response(asked, { rcode: 3, authorities: [soa({ ttl: 60, minimum: 60 })] }),
  );
  assert.equal((await asks(about('broken', types.AAAA))).rcode, 3);
  assert.equal((await asks(about('broken'))).records.length, 1);
});

// A cluster DNS that denies an empty non-terminal would take away all that is below it.
withUpstream('RFC 8020 2 (differs): below a name that does not exist others are asked for', async (subject) => {
  subject.upstream.scripts('parent', denies(3, { ttl: 60, minimum: 60 }));
  assert.equal((await subject.asks(about('parent'))).rcode, 3);
  const { rcode, records } = await subject.asks(query({ name: 'child.parent.conformance.test' }));
  assert.deepEqual([rcode, records.length, subject.upstream.asked('child').length], [0, 1, 1]);
});

withUpstream('RFC 8198 5 (differs): NSEC records deny no other name', async ({ asks, upstream }) => {
  const data = Buffer.concat([wireName('z.conformance.test'), Buffer.from([0, 1, 0x40])]);
  const nsec = record({ owner: wireName('a.conformance.test'), type: 47, data });
  upstream.scripts('denied', ({ query: asked }) =>
    response(asked, { rcode: 3, authorities: [soa({ ttl: 60, minimum: 60 }), nsec], opt: { flags: 0x8000 } }),
  );
  const withDo = (label: string) => query({ name: `${label}.conformance.test`, opt: { flags: 0x8000 } });
  assert.equal((await asks(withDo('denied'))).rcode, 3);
  assert.equal((await asks(withDo('between'))).rcode, 0);
  assert.equal(upstream.asked('between').length, 1);
});

withUpstream('RFC 2308 7.1: a failure is kept for seconds, not minutes', async ({ asks, upstream }) => {
  upstream.scripts('failure', ({ query: asked }) => response(asked, { rcode: 2 }));
  assert.equal((await asks(about('failure'))).rcode, 2);
  const asked = upstream.asked('failure').length;
  assert.equal((await asks(about('failure'))).rcode, 2);
  assert.equal(upstream.asked('failure').length, asked);
});

withUpstream('RFC 1035 7.4, 2181 9: what is truncated is not kept', async ({ asks, upstream }) => {
  upstream.scripts('truncated', ({ query: asked }) => response(asked, { flags: 0x0200, answers: [address(1)] }));
  for (const times of [1, 2]) {
    await asks(about('truncated'));
    assert(upstream.asked('truncated').length >= times);
  }
});

withUpstream('RFC 1034 4.3.1: what was asked without RD is not kept for those that have it', async (subject) => {
  const { asks, upstream } = subject;
  upstream.scripts('iterative', ({ query: asked }) => {
    const desired = (readMessage(asked).flags & rd) !== 0;
    return response(asked, { answers: [address(desired ? 1 : 2)] });
  });
  const name = 'iterative.conformance.test';
  assert.equal((await asks(query({ name, flags: 0 }))).records[0].dataText, 'c0000202');
  assert.equal((await asks(query({ name }))).records[0].dataText, 'c0000201');
});

describe('with time', { concurrency: true }, () => {
  withUpstream('RFC 1035 3.2.1, 7.4: a TTL counts down and never up', async (subject) => {
    subject.upstream.scripts('down', ({ query: asked }) => response(asked, { answers: [address(1, { ttl: 100 })] }));
    let last = 100;
    await until(subject, about('down'), ({ records: [{ ttl }] }) => {
      assert(ttl <= last, `${ttl} s after ${last} s`);
      last = ttl;
      return ttl < 100;
    });
    assert.equal(subject.upstream.asked('down').length, 1);
  });

  // RFC 2181 5.2 would have all records of a set take the lowest TTL: docs/PROTOCOL.md says why they keep their own.
  withUpstream('RFC 2181 5.2 (differs): records keep their own TTLs, the lowest ends all', async (subject) => {
    const said = [address(1, { ttl: 1 }), address(2, { ttl: 200 })];
    subject.upstream.scripts('mixed', ({ query: asked }) => response(asked, { answers: said }));
    const { records } = await subject.asks(about('mixed'));
    assert.deepEqual(
      records.map(({ ttl }) => ttl),
      [1, 200],
    );
    await until(subject, about('mixed'), () => subject.upstream.asked('mixed').length === 2);
  });

  withUpstream(
    'RFC 8767 5, 8914 4.4: past its TTL an answer is given when nobody has a better one',
    async (subject) => {
      let isDead = false;
      subject.upstream.scripts('stale', ({ query: asked }) =>
        isDead ? response(asked, { rcode: 2 }) : response(asked, { answers: [address(1, { ttl: 1 })] }),
      );
      await subject.asks(about('stale'));
      isDead = true;
      const stale = await until(subject, about('stale'), (answer) => errorsOf(answer).length > 0);
      assert.deepEqual([stale.rcode, stale.records[0].ttl, errorsOf(stale)], [0, 30, [3]]);
      isDead = false;
      await until(subject, about('stale'), (answer) => errorsOf(answer).length === 0);
    },
  );

  withUpstream('RFC 1035 3.2.1, 2308 5: a denial behind an alias lives no longer than the alias', async (subject) => {
    const alias = record({ type: types.CNAME, ttl: 1, data: wireName('nothing.test') });
    const authorities = [soa({ ttl: 60, minimum: 60 })];
    subject.upstream.scripts('behind', ({ query: asked }) =>
      response(asked, { rcode: 3, answers: [alias], authorities }),
    );
    await until(subject, about('behind'), () => subject.upstream.asked('behind').length === 2);
  });

  withUpstream('RFC 8767 4: a newer answer ends an older one, though it may not be kept', async (subject) => {
    let said: Parameters<typeof response>[1] = { answers: [address(1, { ttl: 1 })] };
    subject.upstream.scripts('newer', ({ query: asked }) => response(asked, said));
    await subject.asks(about('newer'));
    said = { answers: [address(2, { ttl: 0 })] };
    await until(subject, about('newer'), ({ records: [{ ttl }] }) => ttl === 0);
    said = { rcode: 2 };
    assert.equal((await subject.asks(about('newer'))).rcode, 2);
  });

  withUpstream('RFC 8767 4, 8914 4.20: the same for a name that does not exist', async (subject) => {
    let isDead = false;
    subject.upstream.scripts('gone', (asked) =>
      isDead ? response(asked.query, { rcode: 5 }) : denies(3, { ttl: 1, minimum: 1 })(asked),
    );
    assert.equal((await subject.asks(about('gone'))).rcode, 3);
    isDead = true;
    const stale = await until(subject, about('gone'), (answer) => errorsOf(answer).length > 0);
    assert.deepEqual([stale.rcode, stale.records[0].ttl, errorsOf(stale)], [3, 30, [19]]);
  });

  withUpstream('RFC 8767 5: who waits too long is given what is stale, and the fresh one is kept', async (subject) => {
    let isSlow = false;
    subject.upstream.scripts('slow', ({ query: asked }) =>
      isSlow ? [] : response(asked, { answers: [address(1, { ttl: 1 })] }),
    );
    await subject.asks(about('slow'));
    isSlow = true;
    const startedMs = performance.now();
    const stale = await until(subject, about('slow'), (answer) => errorsOf(answer).length > 0);
    assert.deepEqual([stale.records[0].ttl, errorsOf(stale)], [30, [3]]);
    assert(performance.now() - startedMs < 2_800, 'within the client response timer of 1.8 s');
  });
});
