/** Messages as bytes: header, question, names, types and classes that nobody knows, and what is no query at all. */
import assert from 'node:assert/strict';
import { address, questionName, record, response } from './answers.js';
import { aa, ad, bytes16, cd, qr, query, ra, rd, readMessage, types, wireName, zero } from './message.js';
import { suite } from './subject.js';

const { anyServer, withUpstream } = suite({ lines: 'cache 30' });

anyServer('RFC 1035 4.1.1: id, opcode and RD come back, QR is set', async ({ asks }) => {
  for (const flags of [0, rd]) {
    const answer = await asks(query({ id: 0xbeef, flags, name: 'header.conformance.test' }));
    assert.equal(answer.id, 0xbeef);
    assert.equal(answer.flags & (qr | 0x7800 | rd), qr | flags);
  }
});

anyServer('RFC 1035 4.1.1: the reserved bit of a query is ignored, and zero in the answer', async ({ asks }) => {
  const answer = await asks(query({ flags: rd | zero, name: 'zero.conformance.test' }));
  assert.equal(answer.flags & zero, 0);
  assert.notEqual(answer.rcode, 1);
});

withUpstream(
  'RFC 1035 4.1.1: RA says that recursion is there, AA what the upstream says',
  async ({ asks, upstream }) => {
    upstream.scripts('authority', (asked) => response(asked.query, { flags: aa, answers: [address(7)] }));
    for (const time of ['asked', 'cached']) {
      const { flags } = await asks(query({ name: 'authority.conformance.test' }));
      assert.equal(flags & (aa | ra), aa | ra, time);
    }
    const { flags } = await asks(query({ name: 'no-authority.conformance.test' }));
    assert.equal(flags & (aa | ra), ra);
  },
);

anyServer('RFC 1035 4.1.1: an opcode other than QUERY is not implemented, and comes back', async ({ exchange }) => {
  for (const opcode of [1, 2, 4, 5, 6, 15]) {
    const answer = await exchange(query({ flags: opcode << 11, name: 'opcode.conformance.test' }));
    assert.equal(answer.readUInt16BE(2) & (qr | 0x7800 | 0x000f), qr | (opcode << 11) | 4, `opcode ${opcode}`);
  }
});

anyServer('RFC 1035 4.1.1: a response is not answered', async ({ staysSilent }) => {
  await staysSilent(query({ flags: qr | rd, name: 'response.conformance.test' }));
});

anyServer('RFC 1035 4.1.1: what is shorter than a header is not answered', async ({ staysSilent }) => {
  await staysSilent(Buffer.from('12340100000100', 'hex'));
});

anyServer('RFC 1035 4.1.2: the question comes back byte for byte', async ({ exchange }) => {
  const packet = query({ name: 'Echo.CONFORMANCE.test', type: types.TXT });
  const answer = await exchange(packet);
  assert.deepEqual(answer.subarray(12, packet.length), packet.subarray(12));
});

anyServer('RFC 9619 4: two questions are a format error', async ({ exchange }) => {
  const one = query({ name: 'one.conformance.test' });
  const two = Buffer.concat([one, one.subarray(12)]);
  two.writeUInt16BE(2, 4);
  assert.equal((await exchange(two))[3] & 0x0f, 1);
});

anyServer('RFC 9619 4: a query without a question is a format error', async ({ exchange }) => {
  const none = Buffer.from([0x12, 0x34, ...bytes16(rd), 0, 0, 0, 0, 0, 0, 0, 0]);
  assert.equal((await exchange(none))[3] & 0x0f, 1);
});

anyServer('RFC 1035 2.3.4: a name of 255 bytes with labels of 63 is a name', async ({ asks }) => {
  const name = [63, 63, 63, 61].map((length) => 'l'.repeat(length)).join('.');
  assert.equal(wireName(name).length, 255);
  assert.notEqual((await asks(query({ name }))).rcode, 1);
});

anyServer('RFC 1035 2.3.4: a name of 256 bytes is a format error', async ({ exchange }) => {
  const name = [63, 63, 63, 62].map((length) => 'l'.repeat(length)).join('.');
  assert.equal((await exchange(query({ name })))[3] & 0x0f, 1);
});

anyServer('RFC 1035 4.1.1: a question that is cut is a format error', async ({ exchange }) => {
  const whole = query({ name: 'cut.conformance.test' });
  assert.equal((await exchange(whole.subarray(0, whole.length - 3)))[3] & 0x0f, 1);
});

withUpstream('RFC 1035 4.1.4: compressed names of an answer are those that were said', async ({ asks, upstream }) => {
  const target = Buffer.concat([Buffer.from('\x06target'), Buffer.from([0xc0, 12 + 11])]);
  upstream.scripts('compressed', ({ query: asked }) =>
    response(asked, {
      answers: [record({ type: types.CNAME, data: target }), address(9, { owner: target })],
    }),
  );
  const name = 'compressed.conformance.test';
  for (const time of ['asked', 'cached']) {
    const { records } = await asks(query({ name }));
    assert.deepEqual(
      records.map(({ owner, dataText }) => `${owner} ${dataText}`),
      [`${name}. target.conformance.test.`, 'target.conformance.test. c0000209'],
      time,
    );
  }
});

withUpstream('RFC 1034 3.6.2: a chain of aliases comes whole and in order', async ({ asks, upstream }) => {
  const names = ['one', 'two', 'three'].map((label) => wireName(`${label}.alias.test`));
  upstream.scripts('chain', ({ query: asked }) =>
    response(asked, {
      answers: [
        record({ type: types.CNAME, data: names[0] }),
        record({ owner: names[0], type: types.CNAME, data: names[1] }),
        record({ owner: names[1], type: types.CNAME, data: names[2] }),
        address(3, { owner: names[2] }),
      ],
    }),
  );
  const { records } = await asks(query({ name: 'chain.conformance.test' }));
  assert.deepEqual(
    records.map(({ owner }) => owner.split('.')[0]),
    ['chain', 'one', 'two', 'three'],
  );
});

withUpstream('RFC 2181 11: a label may hold any byte', async ({ asks, upstream }) => {
  const name = 'bytes.\x00\x01\xff\x20"\\.conformance.test';
  for (const time of ['asked', 'cached']) {
    const { questions, records } = await asks(query({ name }));
    assert.equal(questions[0].name, 'bytes.\\000\\001\\255\\032\\034\\092.conformance.test.', time);
    assert.equal(records[0].owner, questions[0].name);
  }
  const [{ query: asked }] = upstream.asked('bytes');
  assert.equal(
    readMessage(asked).questions[0].name.toLowerCase(),
    'bytes.\\000\\001\\255\\032\\034\\092.conformance.test.',
  );
});

withUpstream(
  'RFC 3597 3: data of an unknown type passes unchanged, also where it looks like a pointer',
  async (subject) => {
    const data = Buffer.from([0xc0, 0x0c, 3, 0x77, 0x77, 0x77, 0, 0xff, 0xc0]);
    subject.upstream.scripts('unknown', ({ query: asked }) =>
      response(asked, { answers: [record({ type: 65_280, data })] }),
    );
    for (const time of ['asked', 'cached']) {
      const { records } = await subject.asks(query({ name: 'unknown.conformance.test', type: 65_280 }));
      assert.deepEqual([records[0].type, records[0].data], [65_280, data], time);
    }
  },
);

withUpstream('RFC 3597 3: an unknown class is asked as it is, and kept apart from IN', async ({ asks, upstream }) => {
  const name = 'class.conformance.test';
  upstream.scripts('class', ({ query: asked }) => {
    const [{ class: qclass }] = readMessage(asked).questions;
    return response(asked, { answers: [address(qclass & 0xff, { class: qclass })] });
  });
  for (const qclass of [1, 3, 65_281, 1]) {
    const { questions, records } = await asks(query({ name, class: qclass }));
    assert.deepEqual([questions[0].class, records[0].class, records[0].data[3]], [qclass, qclass, qclass & 0xff]);
  }
});

withUpstream('RFC 3597 4: names in data are compressed in types of RFC 1035 alone', async ({ asks, upstream }) => {
  const host = wireName('compress.conformance.test');
  const srv = Buffer.concat([Buffer.from([0, 1, 0, 2, 0, 53]), host]);
  const said = [record({ type: types.SRV, data: srv }), record({ type: types.DNAME, data: host })];
  upstream.scripts('compress', ({ query: asked }) => response(asked, { answers: said }));
  for (const time of ['asked', 'cached']) {
    const { records } = await asks(query({ name: 'compress.conformance.test', type: types.SRV }));
    assert.deepEqual(
      records.map(({ data }) => data),
      [srv, host],
      time,
    );
  }
});

withUpstream('RFC 4343 3: case does not matter in ASCII and only there', async ({ asks, upstream }) => {
  await asks(query({ name: 'folded.\xe4.test' }));
  const other = await asks(query({ name: 'FOLDED.\xe4.TEST' }));
  assert.equal(other.records.length, 1);
  assert.equal(upstream.asked('folded').length, 1);
  await asks(query({ name: 'folded.\xc4.test' }));
  assert.equal(upstream.asked('folded').length, 2);
});

withUpstream('RFC 4343 4.1: owners that are the question have the case of the question', async ({ asks }) => {
  await asks(query({ name: 'case.conformance.test' }));
  const { records } = await asks(query({ name: 'cAsE.cOnFoRmAnCe.TeSt' }));
  assert.equal(records[0].owner, 'cAsE.cOnFoRmAnCe.TeSt.');
});

withUpstream('RFC 2181 5.4.1: an additional record answers no question of its own', async ({ asks, upstream }) => {
  const other = wireName('innocent.conformance.test');
  upstream.scripts('additional', ({ query: asked }) =>
    response(asked, { answers: [address(1)], additionals: [address(66, { owner: other })] }),
  );
  await asks(query({ name: 'additional.conformance.test' }));
  const { records } = await asks(query({ name: 'innocent.conformance.test' }));
  assert.equal(records[0].dataText, 'c0000201');
  assert.equal(upstream.asked('innocent').length, 1);
});

withUpstream('RFC 6840 5.7, 5.8: AD comes to those that ask for it with AD or DO', async ({ asks, upstream }) => {
  upstream.scripts('authentic', ({ query: asked }) => response(asked, { flags: ad, answers: [address(1)] }));
  const name = 'authentic.conformance.test';
  for (const time of ['asked', 'cached']) {
    assert.equal((await asks(query({ name }))).flags & ad, 0, time);
    assert.equal((await asks(query({ name, flags: rd | ad }))).flags & ad, ad, time);
    assert.equal((await asks(query({ name, opt: { flags: 0x8000 } }))).flags & ad, ad, time);
  }
});

withUpstream('RFC 4035 3.2.2: CD goes upstream and comes back, and such answers are kept apart', async (subject) => {
  const { asks, upstream } = subject;
  const name = 'disabled.conformance.test';
  assert.equal((await asks(query({ name, flags: rd | cd }))).flags & cd, cd);
  assert.equal((await asks(query({ name }))).flags & cd, 0);
  const flags = upstream.asked('disabled').map(({ query: asked }) => readMessage(asked).flags & cd);
  assert.deepEqual(flags, [cd, 0]);
});

withUpstream('RFC 8482 4: ANY is a type like any other: asked, and answered with what is said', async (subject) => {
  const { asks, upstream } = subject;
  const hinfo = Buffer.from('\x07RFC8482\x00', 'latin1');
  upstream.scripts('any', ({ query: asked }) =>
    readMessage(asked).questions[0].type === types.ANY
      ? response(asked, { answers: [record({ owner: questionName, type: types.HINFO, data: hinfo })] })
      : response(asked, { answers: [address(1)] }),
  );
  const name = 'any.conformance.test';
  await asks(query({ name }));
  const { records } = await asks(query({ name, type: types.ANY }));
  assert.deepEqual([records[0].type, records[0].data], [types.HINFO, hinfo]);
  assert.equal((await asks(query({ name }))).records[0].type, types.A);
});

anyServer('RFC 5936 2: a zone transfer is refused, whatever the zone', async ({ asks }) => {
  const { rcode } = await asks(query({ name: 'conformance.test', type: types.AXFR }), 'tcp');
  assert.equal(rcode, 5);
});
