import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as dnsPacket from 'dns-packet';
import type { ConfigError } from '../../../src/config/config.js';
import { Pattern } from '../../../src/config/pattern.js';
import { nameToWire } from '../../../src/dns/names.js';
import { templateSeriesMax } from '../../../src/limits.js';
import {
  answerFromTemplates,
  checkTemplates,
  compileTemplates,
  type TemplateConfig,
  type TemplateCount,
} from '../../../src/plugins/template/templates.js';
import type { Made, MakeQuery } from '../../../src/resolve/route.js';

const types = { A: 1, NS: 2, SOA: 6, PTR: 12, MX: 15, AAAA: 28, ANY: 255 } as const;
const classes = { IN: 1, CH: 3, ANY: 255 } as const;

function template(part: Partial<TemplateConfig>): TemplateConfig {
  return {
    at: { file: 'Corefile', line: 7 },
    class: classes.IN,
    type: types.A,
    zones: ['.'],
    matches: [],
    answer: [],
    additional: [],
    authority: [],
    rcode: 0,
    extendedError: null,
    fallthrough: null,
    ...part,
  };
}

function query(name: string, type: number, more: { class?: number; flags?: number } = {}): MakeQuery {
  const numbers = Buffer.alloc(4);
  numbers.writeUInt16BE(type, 0);
  numbers.writeUInt16BE(more.class ?? classes.IN, 2);
  return {
    id: 4242,
    flags: more.flags ?? 0x0100,
    question: Buffer.concat([nameToWire(name), numbers]),
    remote: '10.244.1.7',
  };
}

/** What dns-packet decodes; its type declarations leave the rcode out. */
type Decoded = dnsPacket.DecodedPacket & { readonly rcode: string };

function messageOf(result: Made): Decoded {
  assert.equal(result.kind, 'message', result.kind === 'servfail' ? result.text : result.kind);
  return dnsPacket.decode(Buffer.from((result as { message: Uint8Array }).message)) as Decoded;
}

/** Records in words: owner, TTL, type and data. */
function lines(records: readonly dnsPacket.Answer[] | undefined): string[] {
  return (records ?? []).map((record) => {
    const { name, ttl, type, data } = record as { name: string; ttl: number; type: string; data: unknown };
    return `${name} ${ttl} ${type} ${typeof data === 'string' ? data : JSON.stringify(data)}`;
  });
}

function only(configs: TemplateConfig | readonly TemplateConfig[], asked: MakeQuery): Made {
  return answerFromTemplates(compileTemplates([configs].flat()), asked);
}

function servfailText(result: Made): string {
  assert.equal(result.kind, 'servfail');
  return (result as { text: string }).text;
}

function totals(counts: ReadonlyMap<string, TemplateCount>): string[] {
  return [...counts.values()].map(({ zone, class: name, type, section, template: source, count }) =>
    [zone, name, type, section, source, count].filter((part) => part !== '').join(' '),
  );
}

test('everything answered NXDOMAIN, whatever is asked', () => {
  const configs = template({ class: classes.ANY, type: types.ANY, rcode: 3 });
  for (const asked of [query('a.example.', types.A), query('.', types.NS), query('b.', 65, { class: classes.CH })]) {
    const message = messageOf(only(configs, asked));
    assert.equal(message.rcode, 'NXDOMAIN');
    assert.deepEqual([message.answers, message.authorities, message.additionals], [[], [], []]);
  }
});

test('the response copies id, question, RD and CD and sets QR, AA and RA', () => {
  const configs = template({ answer: ['{{ .Name }} 60 IN A 192.0.2.1'] });
  const asked = query('Mixed.CASE.example.', types.A, { flags: 0x0110 });
  const message = messageOf(only(configs, asked));
  assert.equal(message.id, 4242);
  assert.equal(message.flags, 0x8590 & 0x7fff);
  assert.deepEqual(message.questions, [{ name: 'Mixed.CASE.example', type: 'A', class: 'IN' }]);
  assert.deepEqual(lines(message.answers), ['Mixed.CASE.example 60 A 192.0.2.1']);
  assert.equal(messageOf(only(configs, query('a.', types.A, { flags: 0 }))).flags, 0x8480 & 0x7fff);
});

test('an address in the name, with named groups, and the way back', () => {
  const forward = template({
    zones: ['example.'],
    matches: [new Pattern('(^|[.])ip-(?P<a>[0-9]*)-(?P<b>[0-9]*)-(?P<c>[0-9]*)-(?P<d>[0-9]*)[.]example[.]$')],
    answer: ['{{ .Name }} 60 IN A {{ .Group.a }}.{{ .Group.b }}.{{ .Group.c }}.{{ .Group.d }}'],
    fallthrough: [],
  });
  const back = template({
    type: types.PTR,
    zones: ['in-addr.arpa.'],
    matches: [new Pattern('^(?P<d>[0-9]*)[.](?P<c>[0-9]*)[.](?P<b>[0-9]*)[.](?P<a>[0-9]*)[.]in-addr[.]arpa[.]$')],
    answer: ['{{ .Name }} 60 IN PTR ip-{{ .Group.a }}-{{ .Group.b }}-{{ .Group.c }}-{{ .Group.d }}.example.'],
  });
  const configs = [forward, back];
  assert.deepEqual(lines(messageOf(only(configs, query('ip-10-95-12-8.example.', types.A))).answers), [
    'ip-10-95-12-8.example 60 A 10.95.12.8',
  ]);
  assert.deepEqual(lines(messageOf(only(configs, query('sub.IP-10-95-12-8.example.', types.A))).answers), [
    'sub.IP-10-95-12-8.example 60 A 10.95.12.8',
  ]);
  assert.deepEqual(lines(messageOf(only(configs, query('8.12.95.10.in-addr.arpa.', types.PTR))).answers), [
    '8.12.95.10.in-addr.arpa 60 PTR ip-10-95-12-8.example',
  ]);
  assert.deepEqual(only(configs, query('host.example.', types.A)), { kind: 'next' });
  assert.equal(only(configs, query('x.in-addr.arpa.', types.PTR)).kind, 'servfail');
});

test('hexadecimal digits become numbers', () => {
  const configs = template({
    zones: ['example.'],
    matches: [new Pattern('^ip0a(?P<b>[a-f0-9]{2})(?P<c>[a-f0-9]{2})(?P<d>[a-f0-9]{2})[.]example[.]$')],
    answer: [
      '{{ .Name }} 60 IN A 10.{{ parseInt .Group.b 16 8 }}.{{ parseInt .Group.c 16 8 }}.{{ parseInt .Group.d 16 8 }}',
    ],
  });
  assert.deepEqual(lines(messageOf(only(configs, query('ip0a5f0c09.example.', types.A))).answers), [
    'ip0a5f0c09.example 60 A 10.95.12.9',
  ]);
});

test('expressions are tried in their order and the first that matches gives the groups', () => {
  const configs = template({
    zones: ['example.'],
    matches: [
      new Pattern('^ip-(?P<a>10)-(?P<b>[0-9]*)[.]dc[.]example[.]$'),
      new Pattern('^(?P<a>[0-9]*)[.](?P<b>[0-9]*)[.]ext[.]example[.]$'),
      new Pattern('(?P<a>1)(?P<b>2)'),
    ],
    answer: ['{{ .Name }} 60 IN A {{ .Group.a }}.{{ .Group.b }}.0.{{ len .Match }}'],
  });
  const address = (name: string) => lines(messageOf(only(configs, query(name, types.A))).answers)[0].split(' ')[3];
  assert.equal(address('ip-10-4.dc.example.'), '10.4.0.3');
  assert.equal(address('8.12.ext.example.'), '8.12.0.3');
  assert.equal(address('x12.example.'), '1.2.0.3');
});

test('a zone with a SOA at its top and nothing below', () => {
  const soa = '{{ .Zone }} 3600 IN SOA ns1.{{ .Zone }} admin.{{ .Zone }} (1 60 120 86400 3600)';
  const zones = ['lab.example.'];
  const configs = [
    template({
      type: types.SOA,
      zones,
      matches: [new Pattern(String.raw`^lab\.example\.$`)],
      answer: [soa],
      fallthrough: [],
    }),
    template({ type: types.SOA, zones, authority: [soa] }),
  ];
  const top = messageOf(only(configs, query('lab.example.', types.SOA)));
  assert.equal(top.answers?.length, 1);
  assert.equal(top.authorities?.length, 0);
  const below = messageOf(only(configs, query('x.lab.example.', types.SOA)));
  assert.equal(below.answers?.length, 0);
  assert.match(
    lines(below.authorities)[0],
    /^lab\.example 3600 SOA \{"mname":"ns1\.lab\.example","rname":"admin\.lab\.example","serial":1/,
  );
});

test('all sections, several records each', () => {
  const configs = template({
    type: types.MX,
    zones: ['example.'],
    matches: [new Pattern('^ip-10-(?P<b>[0-9]*)[.]example[.]$')],
    answer: ['{{ .Name }} 60 IN MX 10 {{ .Name }}'],
    additional: ['{{ .Name }} 60 IN A 10.{{ .Group.b }}.0.1', 'ns0.example. 60 IN A 203.0.113.8'],
    authority: ['example. 60 IN NS ns0.example.', 'example. 60 IN NS ns1.example.'],
  });
  const message = messageOf(only(configs, query('ip-10-3.example.', types.MX)));
  assert.deepEqual(lines(message.answers), ['ip-10-3.example 60 MX {"preference":10,"exchange":"ip-10-3.example"}']);
  assert.deepEqual(lines(message.authorities), ['example 60 NS ns0.example', 'example 60 NS ns1.example']);
  assert.deepEqual(lines(message.additionals), ['ip-10-3.example 60 A 10.3.0.1', 'ns0.example 60 A 203.0.113.8']);
});

test('class and type ANY fit every question, and a question for ANY fits every template', () => {
  const invalid = template({
    class: classes.ANY,
    type: types.ANY,
    zones: ['invalid.'],
    rcode: 3,
    authority: ['invalid. 60 {{ .Class }} SOA ns.invalid. hostmaster.invalid. (1 60 60 60 60)'],
    extendedError: { code: 21, text: 'Blocked' },
  });
  const chaos = only(invalid, query('a.invalid.', types.A, { class: classes.CH }));
  const [soa] = messageOf(chaos).authorities as { type: string; class: string }[];
  assert.deepEqual([soa.type, soa.class], ['SOA', 'CH']);
  assert.deepEqual((chaos as { extendedError: unknown }).extendedError, { code: 21, text: 'Blocked' });
  const aaaa = template({ type: types.AAAA, rcode: 3 });
  assert.equal(messageOf(only(aaaa, query('a.', types.ANY))).rcode, 'NXDOMAIN');
  assert.equal(messageOf(only(aaaa, query('a.', types.AAAA, { class: classes.ANY }))).rcode, 'NXDOMAIN');
  assert.deepEqual(only(aaaa, query('a.', types.A)), { kind: 'next' });
  assert.deepEqual(only(aaaa, query('a.', types.AAAA, { class: classes.CH })), { kind: 'next' });
});

test('zones are compared by whole labels, without regard to case, and the closest is .Zone', () => {
  const configs = template({ zones: ['.', 'example.', 'a.example.'], answer: ['{{ .Zone }} 1 IN A 192.0.2.1'] });
  const zone = (name: string) => lines(messageOf(only(configs, query(name, types.A))).answers)[0].split(' ')[0];
  assert.equal(zone('X.A.EXAMPLE.'), 'a.example');
  assert.equal(zone('xa.example.'), 'example');
  assert.equal(zone('notexample.'), '.');
  const narrow = template({ zones: ['example.'], rcode: 3 });
  assert.deepEqual(only(narrow, query('notexample.', types.A)), { kind: 'next' });
  assert.equal(only(narrow, query('example.', types.A)).kind, 'message');
});

test('without a match the search ends, unless the template falls through for the name', () => {
  const unmatched = { matches: [new Pattern('^never$')], rcode: 3 };
  const second = template({ rcode: 5 });
  const asked = query('a.in-addr.arpa.', types.A);
  const first = (fallthrough: readonly string[] | null) =>
    only([template({ ...unmatched, fallthrough }), second], asked);
  assert.equal(servfailText(first(null)), 'template at Corefile:7: no match for a.in-addr.arpa. and no fallthrough');
  assert.equal(messageOf(first([])).rcode, 'REFUSED');
  assert.equal(messageOf(first(['ip6.arpa.', 'in-addr.arpa.'])).rcode, 'REFUSED');
  assert.equal(first(['ip6.arpa.']).kind, 'servfail');
  assert.deepEqual(only([], asked), { kind: 'next' });
});

test('everything that a query says is there for the template', () => {
  const say = (source: string, asked: MakeQuery) => {
    const result = only(template({ class: classes.ANY, type: types.ANY, answer: [`x. 1 IN TXT "${source}"`] }), asked);
    const answers = messageOf(result).answers as unknown as { data: Buffer[] }[];
    return Buffer.concat(answers[0].data).toString('latin1');
  };
  const asked = query('A.Example.', types.A, { flags: 0x0130 });
  assert.equal(say('{{ .Remote }}', asked), '10.244.1.7');
  assert.equal(say('{{ .Message.Id }}', asked), '4242');
  assert.equal(
    say('{{ .Name }} {{ .Question.Name }} {{ (index .Message.Question 0).Name }}', asked),
    'a.example. A.Example. A.Example.',
  );
  assert.equal(
    say('{{ .Message.RecursionDesired }}{{ .Message.CheckingDisabled }}{{ .Message.AuthenticatedData }}', asked),
    'truetruetrue',
  );
  assert.equal(say('{{ .Meta `kubernetes/namespace` }}|', asked), '|');
  assert.equal(
    say('{{ .Class }} {{ .Type }} {{ .Question.Qtype }}', query('a.', 1234, { class: 7 })),
    'CLASS7 TYPE1234 1234',
  );
  assert.equal(say('{{ index .Match 0 }} {{ index .Group `0` }}', asked), 'a.example. a.example.');
});

test('a group that took no part is empty', () => {
  const configs = template({
    matches: [new Pattern('^(?P<a>x)?(y)?')],
    answer: ['{{ .Name }} 1 IN TXT "[{{ .Group.a }}{{ index .Match 2 }}{{ index .Group `2` }}]"'],
  });
  const answers = messageOf(only(configs, query('z.', types.A))).answers as unknown as { data: Buffer[] }[];
  assert.equal(answers[0].data.toString(), '[]');
});

test('a name with every kind of byte comes back as it is', () => {
  const name = 'a\\.b\\032\\"\\;\\\\\\000\\255\\(x.example.';
  const configs = template({ answer: ['{{ .Name }} 60 IN CNAME {{ .Question.Name }}'] });
  const result = only(configs, query(name, types.A)) as { message: Uint8Array };
  const wire = nameToWire(name);
  const record = result.message.subarray(12 + wire.length + 4);
  assert.deepEqual([...record.subarray(0, 2)], [0xc0, 12]);
  assert.deepEqual(Buffer.from(record.subarray(12)), Buffer.from(wire));
});

test('a template that says SERVFAIL is not executed', () => {
  const message = messageOf(only(template({ rcode: 2, answer: ['not a record'] }), query('a.', types.A)));
  assert.equal(message.rcode, 'SERVFAIL');
  assert.equal(message.answers?.length, 0);
});

test('a condition may leave a record out', () => {
  const configs = template({ answer: ['{{ if eq .Name "a." }}{{ .Name }} 60 IN A 192.0.2.1{{ end }} '] });
  assert.equal(messageOf(only(configs, query('a.', types.A))).answers?.length, 1);
  assert.equal(messageOf(only(configs, query('b.', types.A))).answers?.length, 0);
});

test('a fabricated alias says which question is to follow', () => {
  const configs = template({ type: types.ANY, answer: ['foogle.example 60 IN CNAME Real.example'] });
  const follow = (type: number) =>
    (only(configs, query('foogle.example.', type)) as { follow: Uint8Array | null }).follow;
  assert.deepEqual(follow(types.AAAA), Buffer.concat([nameToWire('Real.example.'), Buffer.from([0, 28, 0, 1])]));
  assert.equal(follow(types.MX), null);
});

test('rcodes above fifteen, which no header holds, are SERVFAIL', () => {
  const result = only(template({ rcode: 23 }), query('a.', types.A));
  assert.deepEqual(result, { kind: 'servfail', text: 'template: rcode 23 needs EDNS' });
});

test('what cannot be executed or is no record is SERVFAIL, with its place, and counted', () => {
  const templates = compileTemplates([
    template({ zones: ['run.'], answer: ['{{ index .Match 9 }}'] }),
    template({ zones: ['record.'], answer: ['{{ .Name }} 60 IN A {{ .Type }}'] }),
    template({ zones: ['fine.'], answer: ['{{ .Name }} 60 IN A 192.0.2.1'] }),
  ]);
  const ask = (name: string) => answerFromTemplates(templates, query(name, types.A));
  assert.match(
    servfailText(ask('run.')),
    /^template at Corefile:7: Template ".*", column 4: index: the index 9 is out of range/,
  );
  assert.equal(
    servfailText(ask('a.record.')),
    'template at Corefile:7: answer "a.record. 60 IN A A": The A record is wrong: "A" is not an IPv4 address.',
  );
  ask('b.record.');
  ask('fine.');
  ask('other.');
  assert.deepEqual(totals(templates.matches), ['run. IN A 1', 'record. IN A 2', 'fine. IN A 1']);
  assert.deepEqual(totals(templates.templateFailures), ['run. IN A answer {{ index .Match 9 }} 1']);
  assert.deepEqual(totals(templates.recordFailures), ['record. IN A answer {{ .Name }} 60 IN A {{ .Type }} 2']);
});

test('clients cannot make the numbers grow without end', () => {
  const templates = compileTemplates([template({ type: types.ANY, rcode: 3 })]);
  for (let type = 1; type <= 2 * templateSeriesMax; type++) answerFromTemplates(templates, query('a.', type));
  assert.equal(templates.matches.size, templateSeriesMax);
  const counted = [...templates.matches.values()];
  assert.equal(
    counted.reduce((sum, { count }) => sum + count, 0),
    2 * templateSeriesMax,
  );
  assert.equal(counted[counted.length - 1].type, 'other');
});

test('an answer longer than a message is SERVFAIL', () => {
  const long = `{{ .Name }} 1 IN TXT ${`"${'x'.repeat(250)}" `.repeat(200)}`;
  assert.match(servfailText(only(template({ answer: [long, long] }), query('a.', types.A))), /65535 are allowed/);
});

test('a template that does not compile is refused with file and line', () => {
  const configs = [
    template({ answer: ['{{ .Name }} 60 IN A 192.0.2.1', '{{ nope }}'] }),
    template({ at: { file: 'other', line: 9 }, additional: ['{{ if }}'], authority: ['{{ .Name'] }),
  ];
  assert.throws(
    () => compileTemplates(configs),
    /^Error: Corefile:7: answer: Template "\{\{ nope \}\}", column 4: no function is called nope/,
  );
  assert.throws(
    () => checkTemplates(configs),
    ({ errors }: ConfigError) => {
      assert.deepEqual(
        errors.map(({ at, message }) => `${at.file}:${at.line} ${message.split(', ')[1].split(':')[0]}`),
        ['Corefile:7 column 4', 'other:9 column 3', 'other:9 column 7'],
      );
      return true;
    },
  );
  checkTemplates([template({ rcode: 3 })]);
});
