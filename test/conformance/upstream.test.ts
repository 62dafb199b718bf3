/** How upstreams are asked and which of their answers are taken: forgery, truncation, and messages that lie. */
import assert from 'node:assert/strict';
import { address, questionName, record, response } from './answers.js';
import { bytes16, query, rd, readMessage, tc, types, wireName } from './message.js';
import { suite, type WithUpstream } from './subject.js';

// Asked as the client asks: over UDP.
const { withUpstream } = suite({ lines: 'cache 30' });

const isRight = (answer: Awaited<ReturnType<WithUpstream['asks']>>): void =>
  assert.deepEqual([answer.rcode, answer.records.map(({ dataText }) => dataText)], [0, ['c0000201']]);

for (const transport of ['udp', 'tcp'] as const) {
  withUpstream(`RFC 5452 9.1: over ${transport} an answer with another id is passed over`, async (subject) => {
    subject.upstream.scripts(`id-${transport}`, ({ query: asked }) => [
      response(asked, { id: readMessage(asked).id ^ 1, answers: [address(66)] }),
      response(asked, { answers: [address(1)] }),
    ]);
    isRight(await subject.asks(query({ name: `id-${transport}.conformance.test` }), transport));
  });

  withUpstream(`RFC 5452 9.1: over ${transport} an answer to another question is passed over`, async (subject) => {
    const others = [
      { name: 'victim.conformance.test', type: types.A, class: 1 },
      { name: `question-${transport}.conformance.test`, type: types.TXT, class: 1 },
      { name: `question-${transport}.conformance.test`, type: types.A, class: 3 },
    ];
    subject.upstream.scripts(`question-${transport}`, ({ query: asked }) => [
      ...others.map((other) => response(asked, { question: query(other).subarray(12), answers: [address(66)] })),
      response(asked, { answers: [address(1)] }),
    ]);
    isRight(await subject.asks(query({ name: `question-${transport}.conformance.test` }), transport));
    isRight(await subject.asks(query({ name: 'victim.conformance.test' }), transport));
  });

  withUpstream(`RFC 5452 9.1, 1035 7.3: over ${transport} what is no response is no answer`, async (subject) => {
    subject.upstream.scripts(`echo-${transport}`, ({ query: asked }) => [
      asked,
      response(asked, { flags: 4 << 11, answers: [address(66)] }),
      response(asked, { answers: [address(1)] }),
    ]);
    isRight(await subject.asks(query({ name: `echo-${transport}.conformance.test` }), transport));
  });
}

withUpstream('RFC 5452 9.2: ids and ports of requests cannot be foretold', async ({ asks, upstream }) => {
  const labels = Array.from({ length: 64 }, (_, number) => `random${number}`);
  await Promise.all(labels.map((label, id) => asks(query({ id, name: `${label}.conformance.test` }))));
  const asked = labels.flatMap((label) => upstream.asked(label));
  const ids = asked.map(({ query: packet }) => packet.readUInt16BE(0));
  // 64 of 65,536: with a probability of 97 % none twice, and four times twice in less than one in a million runs.
  assert(new Set(ids).size > asked.length - 4, `${new Set(ids).size} ids for ${asked.length} requests`);
  const steps = new Set(ids.slice(1).map((id, index) => id - ids[index]));
  assert(steps.size > asked.length / 2, 'they are not counted up');
  assert(new Set(asked.map(({ port }) => port)).size >= 8, 'they come from many ports');
});

withUpstream('RFC 7766 5: what is truncated over UDP is asked again over TCP', async ({ asks, upstream }) => {
  upstream.scripts('retry', ({ query: asked, transport }) =>
    transport === 'udp' ? response(asked, { flags: tc }) : response(asked, { answers: [address(1)] }),
  );
  const answer = await asks(query({ name: 'retry.conformance.test' }));
  isRight(answer);
  assert.equal(answer.flags & tc, 0);
  assert.deepEqual(
    upstream.asked('retry').map(({ transport }) => transport),
    ['udp', 'tcp'],
  );
});

withUpstream('RFC 7766 5: an answer over UDP that was cut without TC is had over TCP', async ({ asks, upstream }) => {
  const cut = {
    behindtherecord: (whole: Buffer) => counted(whole, 6, 2),
    inthedata: (whole: Buffer) => cutBy(whole, 2),
    inthefixedpart: (whole: Buffer) => cutBy(whole, 9),
    intheowner: (whole: Buffer) => cutBy(whole, 15),
  };
  for (const [label, damage] of Object.entries(cut)) {
    upstream.scripts(label, ({ query: asked, transport }) => {
      const whole = response(asked, { answers: [address(1)] });
      return transport === 'udp' ? damage(whole) : whole;
    });
    const answer = await asks(query({ name: `${label}.conformance.test` }));
    isRight(answer);
    assert.equal(answer.flags & tc, 0);
    assert.deepEqual(
      upstream.asked(label).map(({ transport }) => transport),
      ['udp', 'tcp'],
    );
  }
});

withUpstream('RFC 7766 6.2.1: one connection carries many requests', async ({ asks, upstream }) => {
  for (let number = 0; number < 6; number++) {
    await asks(query({ name: `reuse${number}.conformance.test` }), 'tcp');
  }
  const ports = [0, 1, 2, 3, 4, 5].flatMap((number) => upstream.asked(`reuse${number}`)).map(({ port }) => port);
  assert.equal(new Set(ports).size, 1);
});

/** Messages that say something other than they are, for a question of A; all have the right header and question. */
const lies: Readonly<Record<string, (asked: Buffer) => Buffer>> = {
  '2: a pointer to itself': (asked) => response(asked, { answers: [address(66, { owner: pointerTo(end(asked)) })] }),
  '2: pointers in a ring': (asked) =>
    response(asked, {
      answers: [address(66, { owner: pointerTo(end(asked) + 16) }), address(66, { owner: pointerTo(end(asked)) })],
    }),
  '2: a pointer forwards': (asked) =>
    response(asked, { answers: [address(66, { owner: pointerTo(end(asked) + 20) }), address(66)] }),
  '2: a pointer behind the end': (asked) => response(asked, { answers: [address(66, { owner: pointerTo(0x3fff) })] }),
  '2: a pointer into the header': (asked) => response(asked, { answers: [address(66, { owner: pointerTo(4) })] }),
  '2: an alias whose pointer is a ring': (asked) =>
    response(asked, { answers: [record({ type: types.CNAME, data: pointerTo(end(asked) + 12) })] }),
  '3: a label of a type that is not defined': (asked) =>
    response(asked, { answers: [address(66, { owner: Buffer.from([0x80, 1, 0]) })] }),
  '3: a label longer than the message': (asked) =>
    response(asked, { answers: [address(66, { owner: Buffer.from([63, 97, 0]) })] }),
  '3: a name of more than 255 bytes': (asked) =>
    response(asked, {
      answers: [address(66, { owner: wireName([1, 2, 3, 4, 5].map((digit) => String(digit).repeat(60)).join('.')) })],
    }),
  '4: a name without an end': (asked) =>
    cutBy(response(asked, { answers: [address(66, { owner: wireName('no.end') })] }), 15),
  '5: data longer than the message': (asked) => {
    const message = response(asked, { answers: [address(66)] });
    message.writeUInt16BE(400, message.length - 6);
    return message;
  },
  '5: an alias with more data than its name': (asked) =>
    response(asked, {
      answers: [record({ type: types.CNAME, data: Buffer.concat([wireName('a.test'), Buffer.alloc(3)]) })],
    }),
  '5: an alias with less data than its name': (asked) => {
    const message = response(asked, { answers: [record({ type: types.CNAME, data: wireName('abc.test') })] });
    message.writeUInt16BE(4, message.length - 12);
    return message;
  },
  '6: more records counted than there are': (asked) => counted(response(asked, { answers: [address(66)] }), 6, 2),
  '6: 65,535 records counted': (asked) => counted(response(asked, { answers: [address(66)] }), 6, 0xffff),
  '6: authority counted and not there': (asked) => counted(response(asked, { answers: [address(66)] }), 8, 1),
};

for (const [what, lie] of Object.entries(lies)) {
  withUpstream(`RFC 9267 ${what}: not taken, and the next question is answered`, async ({ asks, upstream }) => {
    const label = `lie${what.replace(/[^a-z0-9]/g, '')}`.slice(0, 60);
    upstream.scripts(label, ({ query: asked }) => lie(asked));
    const { rcode, records } = await asks(query({ name: `${label}.conformance.test` }));
    assert.deepEqual([rcode, records], [2, []]);
    isRight(await asks(query({ name: `after${label}`.slice(0, 60) })));
  });
}

withUpstream('RFC 9619 4: a response with two questions, or with none, is no answer', async ({ asks, upstream }) => {
  upstream.scripts('two', ({ query: asked }) => {
    const one = readMessage(asked).questionBytes;
    return counted(response(asked, { question: Buffer.concat([one, one]), answers: [address(66)] }), 4, 2);
  });
  upstream.scripts('none', ({ query: asked }) => {
    const header = Buffer.from([
      ...bytes16(readMessage(asked).id),
      0x81,
      0x80,
      ...bytes16(0),
      ...bytes16(1),
      0,
      0,
      0,
      0,
    ]);
    return Buffer.concat([header, address(66, { owner: wireName('none.conformance.test') })]);
  });
  const answers = await Promise.all(
    ['two', 'none'].map((label, id) => asks(query({ id, name: `${label}.conformance.test` }))),
  );
  for (const { rcode, records } of answers) assert.deepEqual([rcode, records], [2, []]);
});

withUpstream(
  'RFC 1035 4.1.1: requests are plain: one question, RD as the client had it',
  async ({ asks, upstream }) => {
    for (const flags of [0, rd]) {
      const label = `plain${flags}`;
      await asks(query({ flags: flags | 0x0040, name: `${label}.conformance.test` }));
      const { flags: sent, questions, opcode, records } = readMessage(upstream.asked(label)[0].query);
      assert.deepEqual([sent & rd, sent & 0x86c0, questions.length, opcode, records], [flags, 0, 1, 0, []]);
    }
  },
);

withUpstream('RFC 2181 10.1: an alias beside other data is passed on as it was said', async ({ asks, upstream }) => {
  const said = [record({ owner: questionName, type: types.CNAME, data: wireName('a.test') }), address(1)];
  upstream.scripts('beside', ({ query: asked }) => response(asked, { answers: said }));
  const { records } = await asks(query({ name: 'beside.conformance.test' }));
  assert.deepEqual(
    records.map(({ type, ttl }) => [type, ttl]),
    [
      [types.CNAME, 300],
      [types.A, 300],
    ].map(([type, ttl]) => [type, Math.min(ttl, 30)]),
  );
});

/** Where the records of a response to this query begin. */
function end(asked: Buffer): number {
  return 12 + readMessage(asked).questionBytes.length;
}

function pointerTo(offset: number): Buffer {
  return Buffer.from(bytes16(0xc000 | offset));
}

function counted(message: Buffer, at: 4 | 6 | 8, count: number): Buffer {
  message.writeUInt16BE(count, at);
  return message;
}

function cutBy(message: Buffer, bytes: number): Buffer {
  return Buffer.from(message.subarray(0, message.length - bytes));
}
