/** Extension mechanisms: the OPT record, versions, flags and options, known and unknown. */
import assert from 'node:assert/strict';
import { address, record, response } from './answers.js';
import { optRecord, query, rd, readMessage, tc, types, wireName } from './message.js';
import { suite } from './subject.js';

const { anyServer, withUpstream } = suite({ lines: 'cache 30\n    timeouts {\n        idle 10s\n    }' });

const dnssecOk = 0x8000;

anyServer('RFC 6891 6.1.1: who sends an OPT gets one, with a size of at least 512', async ({ asks }) => {
  const { opt } = await asks(query({ name: 'opt.conformance.test', opt: {} }));
  assert(opt !== null && opt.size >= 512);
  assert.equal(opt.version, 0);
});

anyServer('RFC 6891 7: who sends no OPT gets none', async ({ asks }) => {
  assert.equal((await asks(query({ name: 'opt.conformance.test' }))).opt, null);
});

anyServer('RFC 6891 6.1.1: two OPT records are a format error', async ({ exchange }) => {
  const packet = Buffer.concat([query({ name: 'two.conformance.test', opt: {} }), optRecord({})]);
  packet.writeUInt16BE(2, 10);
  assert.equal((await exchange(packet))[3] & 0x0f, 1);
});

anyServer('RFC 6891 6.1.2: an OPT whose owner is not the root is a format error', async ({ exchange }) => {
  const bare = query({ name: 'owner.conformance.test' });
  const packet = Buffer.concat([bare, wireName('owner'), optRecord({}).subarray(1)]);
  packet.writeUInt16BE(1, 10);
  assert.equal((await exchange(packet))[3] & 0x0f, 1);
});

anyServer('RFC 6891 6.1.3: a version above 0 is answered with BADVERS and version 0', async ({ asks }) => {
  for (const version of [1, 100, 255]) {
    const { rcode, opt, records } = await asks(query({ name: 'version.conformance.test', opt: { version } }));
    assert.deepEqual([rcode, opt?.version, records.length], [16, 0, 0]);
  }
});

anyServer('RFC 6891 6.1.2: options that are not known are ignored and do not come back', async ({ asks }) => {
  const options = [{ code: 65_001, data: Buffer.from('whatever') }];
  const { rcode, opt } = await asks(query({ name: 'option.conformance.test', opt: { options } }));
  assert.notEqual(rcode, 1);
  assert.deepEqual(
    opt?.options.filter(({ code }) => code === 65_001),
    [],
  );
});

anyServer('RFC 6891 6.1.4: flags that are not known are ignored, and zero in the answer', async ({ asks }) => {
  const { rcode, opt } = await asks(query({ name: 'flag.conformance.test', opt: { flags: 0x4001 } }));
  assert.notEqual(rcode, 1);
  assert.equal((opt?.flags ?? 0) & ~dnssecOk, 0);
});

anyServer('RFC 3225 3: DO comes back as it was sent', async ({ asks }) => {
  for (const flags of [0, dnssecOk]) {
    const { opt } = await asks(query({ name: 'do.conformance.test', opt: { flags } }));
    assert.equal((opt?.flags ?? 0) & dnssecOk, flags);
  }
});

withUpstream('RFC 3225 3: DO goes upstream, and such answers are kept apart', async ({ asks, upstream }) => {
  const name = 'apart.conformance.test';
  for (const flags of [0, dnssecOk, 0, dnssecOk]) await asks(query({ name, opt: { flags } }));
  const seen = upstream.asked('apart').map(({ query: asked }) => (readMessage(asked).opt?.flags ?? 0) & dnssecOk);
  assert.deepEqual(seen, [0, dnssecOk]);
});

withUpstream('RFC 6891 6.2.3: a size below 512 means 512', async ({ exchange, upstream }) => {
  // 28 addresses are 504 bytes with header and question; 40 are more than 512.
  const many = (count: number) => Array.from({ length: count }, (_, index) => address(index));
  upstream.scripts('small', ({ query: asked }) => response(asked, { answers: many(25) }));
  upstream.scripts('large', ({ query: asked }) => response(asked, { answers: many(40) }));
  const small = await exchange(query({ name: 'small.conformance.test', opt: { size: 0 } }));
  assert.equal(readMessage(small).records.length, 25);
  const large = await exchange(query({ name: 'large.conformance.test', opt: { size: 100 } }));
  assert(large.length <= 512);
  assert.equal(readMessage(large).flags & tc, tc);
});

withUpstream('RFC 6891 6.2.5: an answer is no longer than the client says, and the OPT stays', async (subject) => {
  const texts = Array.from({ length: 20 }, (_, index) =>
    record({ type: types.TXT, data: Buffer.from(`\x31${String(index).padEnd(49)}`) }),
  );
  subject.upstream.scripts('fits', ({ query: asked }) => response(asked, { answers: texts }));
  for (const size of [512, 700, 900]) {
    const bytes = await subject.exchange(query({ name: 'fits.conformance.test', type: types.TXT, opt: { size } }));
    const { flags, opt, records } = readMessage(bytes);
    assert(bytes.length <= size && records.length > 0, `${bytes.length} bytes for ${size}`);
    assert.equal(flags & tc, tc);
    assert(opt !== null);
  }
});

const large = suite({ lines: 'cache 30\n    bufsize 4096' });

large.withUpstream(
  'RFC 6891 6.2.3: upstreams are told the size of bufsize, and answers of that size are taken',
  async (subject) => {
    // 220 addresses are 3,520 bytes.
    const many = Array.from({ length: 220 }, (_, index) => address(index));
    subject.upstream.scripts('whole', ({ query: asked }) => response(asked, { answers: many, opt: {} }));
    const bytes = await subject.exchange(query({ name: 'whole.conformance.test', opt: { size: 4096 } }));
    const { flags, records, opt } = readMessage(bytes);
    assert.deepEqual([flags & tc, records.length, opt?.size], [0, 220, 4096]);
    const asked = subject.upstream.asked('whole');
    assert.deepEqual(
      asked.map(({ transport, query: packet }) => [transport, readMessage(packet).opt?.size]),
      [['udp', 4096]],
    );
  },
);

withUpstream('RFC 6891 6.1.1: options of a client, as its subnet, go no further', async ({ asks, upstream }) => {
  const options = [
    { code: 8, data: Buffer.from('00011800c00002', 'hex') },
    { code: 10, data: Buffer.from('0123456789abcdef', 'hex') },
    { code: 3, data: Buffer.alloc(0) },
  ];
  await asks(query({ name: 'private.conformance.test', opt: { options } }));
  for (const { query: asked } of upstream.asked('private')) {
    assert.deepEqual(readMessage(asked).opt?.options ?? [], []);
  }
});

const refusals: Readonly<Record<string, (asked: Buffer) => Buffer>> = {
  formerr: (asked) => response(asked, { rcode: 1 }),
  formerrheader: (asked) => headerAlone(response(asked, { rcode: 1 })),
  notimp: (asked) => response(asked, { rcode: 4 }),
};

for (const [label, refuse] of Object.entries(refusals)) {
  withUpstream(`RFC 6891 6.2.2, 7: who knows no EDNS is asked again without: ${label}`, async ({ asks, upstream }) => {
    upstream.scripts(label, ({ query: asked }) =>
      readMessage(asked).opt === null ? response(asked, { answers: [address(4)] }) : refuse(asked),
    );
    const { rcode, records, opt } = await asks(query({ name: `${label}.conformance.test` }));
    assert.deepEqual([rcode, records.length, opt], [0, 1, null]);
    const opts = upstream.asked(label).map(({ query: asked }) => readMessage(asked).opt !== null);
    assert.deepEqual(opts, [true, false]);
  });
}

withUpstream(
  'RFC 6891 6.2.2: DO goes with an OPT all the same; what comes without is given, and not kept',
  async ({ asks, upstream }) => {
    upstream.scripts('old', ({ query: asked }) =>
      readMessage(asked).opt === null ? response(asked, { answers: [address(4)] }) : response(asked, { rcode: 1 }),
    );
    for (let time = 1; time <= 2; time++) {
      const { rcode, records } = await asks(query({ name: 'old.conformance.test', opt: { flags: dnssecOk } }));
      assert.deepEqual([rcode, records.length], [0, 1]);
      const opts = upstream.asked('old').map(({ query: asked }) => readMessage(asked).opt !== null);
      assert.deepEqual(
        opts,
        Array.from({ length: 2 * time }, (_, index) => index % 2 === 0),
      );
    }
  },
);

withUpstream('RFC 6891 6.1.3: BADVERS of an upstream is nothing for a client', async ({ asks, upstream }) => {
  upstream.scripts('badvers', ({ query: asked }) => response(asked, { opt: { extendedRcode: 1 } }));
  for (const opt of [undefined, {}]) {
    const { rcode } = await asks(query({ name: 'badvers.conformance.test', ...(opt === undefined ? {} : { opt }) }));
    assert.equal(rcode, 2);
  }
});

withUpstream('RFC 7873 4.1 (differs): a cookie is ignored like any option that is not known', async ({ asks }) => {
  for (const data of ['0123456789abcdef', '0123456789abcdef0123456789abcdef01234567', '01']) {
    const options = [{ code: 10, data: Buffer.from(data, 'hex') }];
    const { rcode, opt, records } = await asks(query({ name: 'cookie.conformance.test', opt: { options } }));
    assert.deepEqual([rcode, opt?.options, records.length], [0, [], 1]);
  }
});

anyServer('RFC 7828 3.3.1: over UDP a wish for a long connection is ignored', async ({ asks }) => {
  const { opt } = await asks(query({ name: 'keep.conformance.test', opt: { options: [keepalive] } }));
  assert.deepEqual(
    opt?.options.filter(({ code }) => code === keepalive.code),
    [],
  );
});

withUpstream(
  'RFC 7828 3.3.2: over TCP it is answered with the idle timeout, in tenths of a second',
  async ({ asks }) => {
    const { opt } = await asks(query({ name: 'keep.conformance.test', opt: { options: [keepalive] } }), 'tcp');
    assert.deepEqual(opt?.options, [{ code: 11, data: Buffer.from([0, 100]) }]);
    const unasked = await asks(query({ name: 'keep.conformance.test', opt: {} }), 'tcp');
    assert.deepEqual(unasked.opt?.options, []);
  },
);

const keepalive = { code: 11, data: Buffer.alloc(0) };

withUpstream('RFC 8914 2: a failure says why, to those that have an OPT', async ({ asks, upstream }) => {
  upstream.scripts('dead', () => []);
  const [known, unknown] = await Promise.all([
    asks(query({ name: 'dead.conformance.test', opt: {} })),
    asks(query({ name: 'dead.conformance.test' })),
  ]);
  const errors = known.opt?.options.filter(({ code }) => code === 15) ?? [];
  assert.deepEqual([known.rcode, unknown.rcode, errors.length], [2, 2, 1]);
  // No Reachable Authority: nobody answered in time.
  assert.equal(errors[0].data.readUInt16BE(0), 22);
  assert.equal(unknown.opt, null);
});

anyServer('RFC 8906 3.1.2: a type that nobody knows is answered', async ({ asks }) => {
  assert.notEqual((await asks(query({ name: 'type.conformance.test', type: 1000 }))).rcode, 4);
});

anyServer('RFC 8906 3.1.3: all header bits at once are answered', async ({ asks }) => {
  const { rcode, flags } = await asks(query({ flags: 0x07f0, name: 'bits.conformance.test' }));
  assert.notEqual(rcode, 1);
  assert.equal(flags & 0x0040, 0);
});

anyServer('RFC 8906 3.2.2: an unknown version wins over unknown flags and options', async ({ asks }) => {
  const options = [{ code: 65_001, data: Buffer.alloc(3) }];
  const { rcode, opt } = await asks(
    query({ flags: rd, name: 'all.conformance.test', opt: { version: 1, flags: 0x4000, options } }),
  );
  assert.deepEqual([rcode, opt?.version, (opt?.flags ?? 0) & 0x7fff, opt?.options], [16, 0, 0, []]);
});

anyServer('RFC 8906 3.2.7: EDNS over TCP is answered as over UDP', async ({ asks }) => {
  const packet = query({ name: 'both.conformance.test', opt: { flags: dnssecOk } });
  const overUdp = await asks(packet, 'udp');
  const overTcp = await asks(packet, 'tcp');
  assert.deepEqual([overTcp.rcode, overTcp.opt], [overUdp.rcode, overUdp.opt]);
});

function headerAlone(message: Buffer): Buffer {
  return Buffer.concat([message.subarray(0, 4), Buffer.alloc(8)]);
}
