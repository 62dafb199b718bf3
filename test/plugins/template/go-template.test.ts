import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { compileGoTemplate } from '../../../src/plugins/template/go-template.js';
import type { Structure, Value } from '../../../src/plugins/template/values.js';

const data: Structure = {
  name: 'templateData',
  fields: {
    Name: 'ip-10-1-2-3.example.',
    Zone: 'example.',
    Class: 'IN',
    Type: 'A',
    Match: ['ip-10-1-2-3.example.', '10', '1'],
    Group: {
      entries: new Map<string, Value>([
        ['a', '10'],
        ['b', '0a'],
        ['empty', ''],
      ]),
      zero: '',
    },
    Question: { name: 'dns.Question', fields: { Name: 'IP-10-1-2-3.example.', Qtype: 1n, Qclass: 1n } },
    Nothing: [],
    Meta: { parameters: 1, call: ([name]) => `<${name}>` },
  },
};

function run(source: string): string {
  return compileGoTemplate(source)(data);
}

function check(cases: readonly (readonly [string, string])[]): void {
  for (const [source, expected] of cases) assert.equal(run(source), expected, source);
}

function compileFails(cases: readonly (readonly [string, RegExp])[]): void {
  for (const [source, expected] of cases) assert.throws(() => compileGoTemplate(source), expected, source);
}

function runFails(cases: readonly (readonly [string, RegExp])[]): void {
  for (const [source, expected] of cases) {
    const execute = compileGoTemplate(source);
    assert.throws(() => execute(data), expected, source);
  }
}

test('text is written as it is and fields are filled in', () => {
  check([
    ['', ''],
    ['plain } text { with } } braces', 'plain } text { with } } braces'],
    ['{{ .Name }} 60 IN A {{ .Group.a }}.{{.Group.b}}', 'ip-10-1-2-3.example. 60 IN A 10.0a'],
    ['{{ .Zone }}{{ .Class }}{{ .Type }}', 'example.INA'],
    ['{{ .Question.Name }} {{ .Question.Qtype }}', 'IP-10-1-2-3.example. 1'],
    ['{{ $.Name }}', 'ip-10-1-2-3.example.'],
    [
      '{{ .Match }} {{ .Group }} {{ .Question }}',
      '[ip-10-1-2-3.example. 10 1] map[a:10 b:0a empty:] {IP-10-1-2-3.example. 1 1}',
    ],
    ['{{ .Group.missing }}|{{ index .Group "missing" }}', '<no value>|'],
    ['{{ .Meta "kubernetes/client-namespace" }}', '<kubernetes/client-namespace>'],
    ['{{ "kubernetes/x" | .Meta }}', '<kubernetes/x>'],
    ['{{ (.Meta "x") }}{{ (.Question).Qclass }}', '<x>1'],
  ]);
});

test('trim markers take the white space on their side, comments take themselves', () => {
  check([
    ['a  {{- .Type -}}  b', 'aAb'],
    ['a {{ .Type -}} \n\t b', 'a Ab'],
    ['a \n{{- .Type }} b', 'aA b'],
    ['{{ -3 }}{{- 3 }}', '-33'],
    ['{{-3}}', '-3'],
    ['a{{/* nothing }} here */}}b', 'ab'],
    ['a {{- /* trims */ -}} b', 'ab'],
    ['{{\n.Type\n}}', 'A'],
  ]);
});

test('literals are those of Go', () => {
  check([
    [String.raw`{{ "a\"b\\\tA\x41\u00e9\101" }}`, 'a"b\\\tAA\u00e9A'],
    ['{{ `raw "text" \\n` }}', 'raw "text" \\n'],
    ['{{ 0x1F }} {{ 0b101 }} {{ 0o17 }} {{ 017 }} {{ 1_000 }} {{ -42 }} {{ +7 }}', '31 5 15 15 1000 -42 7'],
    ["{{ 'a' }} {{ '\\n' }} {{ '\u00e9' }}", '97 10 233'],
    ['{{ 1.5 }} {{ .5 }} {{ 1e3 }} {{ 1e21 }} {{ 1.5e-7 }} {{ 100000000.0 }}', '1.5 0.5 1000 1e+21 1.5e-07 1e+08'],
    ['{{ true }} {{ false }} {{ print nil }}', 'true false <nil>'],
    ['{{ 9223372036854775807 }}', '9223372036854775807'],
  ]);
});

test('if, else if and else follow Go\u2019s truth', () => {
  check([
    ['{{ if .Group.a }}yes{{ else }}no{{ end }}', 'yes'],
    ['{{ if .Group.empty }}yes{{ else }}no{{ end }}', 'no'],
    ['{{ if .Group.missing }}yes{{ else }}no{{ end }}', 'no'],
    ['{{ if .Nothing }}yes{{ end }}', ''],
    ['{{ if 0 }}yes{{ else if 0.0 }}other{{ else if .Question }}struct{{ else }}no{{ end }}', 'struct'],
    ['{{ if eq .Type "AAAA" }}6{{ else if eq .Type "A" }}4{{ else }}0{{ end }}!', '4!'],
    ['{{ if false }}{{ if true }}a{{ end }}{{ else }}b{{ end }}', 'b'],
  ]);
});

test('with sets the dot, also in else with, and leaves the root reachable', () => {
  check([
    ['{{ with .Question }}{{ .Qtype }}{{ $.Type }}{{ end }}', '1A'],
    ['{{ with .Group.empty }}{{ . }}{{ else }}{{ .Type }}{{ end }}', 'A'],
    ['{{ with .Nothing }}x{{ else with .Group.a }}{{ . }}{{ end }}', '10'],
    ['{{ with $x := .Group.a }}{{ $x }}{{ . }}{{ end }}', '1010'],
  ]);
});

test('range visits lists, maps in the order of their keys, and counts', () => {
  check([
    ['{{ range .Match }}[{{ . }}]{{ end }}', '[ip-10-1-2-3.example.][10][1]'],
    ['{{ range $i, $m := .Match }}{{ $i }}={{ $m }};{{ end }}', '0=ip-10-1-2-3.example.;1=10;2=1;'],
    ['{{ range $v := .Group }}{{ $v }},{{ end }}', '10,0a,,'],
    ['{{ range $k, $v := .Group }}{{ $k }}{{ end }}', 'abempty'],
    ['{{ range .Nothing }}x{{ else }}none {{ .Type }}{{ end }}', 'none A'],
    ['{{ range .Group.missing }}x{{ else }}none{{ end }}', 'none'],
    ['{{ range 3 }}{{ . }}{{ end }}', '012'],
    ['{{ range $i, $m := .Match }}{{ if eq $i 1 }}{{ continue }}{{ end }}{{ $i }}{{ end }}', '02'],
    ['{{ range $i, $m := .Match }}{{ if eq $i 1 }}{{ break }}{{ end }}{{ $i }}{{ end }}', '0'],
  ]);
});

test('variables live until the end of their block and may be assigned', () => {
  check([
    ['{{ $x := .Group.a }}{{ $x }}', '10'],
    ['{{ $x := 1 }}{{ if true }}{{ $x := 2 }}{{ $x }}{{ end }}{{ $x }}', '21'],
    ['{{ $x := 1 }}{{ if true }}{{ $x = 2 }}{{ end }}{{ $x }}', '2'],
    ['{{ $last := "" }}{{ range .Match }}{{ $last = . }}{{ end }}{{ $last }}', '1'],
    ['{{ $q := .Question }}{{ $q.Qtype }}', '1'],
    ['{{ if $x := .Group.a }}{{ $x }}{{ else }}{{ $x }}{{ end }}', '10'],
  ]);
  compileFails([
    ['{{ if true }}{{ $x := 1 }}{{ end }}{{ $x }}', /the variable \$x is not defined/],
    ['{{ $x = 1 }}', /the variable \$x is not defined/],
    ['{{ $x := $x }}', /the variable \$x is not defined/],
    ['{{ $x, $y := .Match }}', /too many variables/],
    ['{{ range $x, }}{{ end }}', /after the comma/],
  ]);
});

test('pipelines hand a value on as the last argument', () => {
  check([
    ['{{ .Group.a | printf "%s-%s" "x" }}', 'x-10'],
    ['{{ .Match | len | printf "%03d" }}', '003'],
    ['{{ (index .Match 1) | print }}', '10'],
    ['{{ printf "%d" (len (index .Match 1)) }}', '2'],
  ]);
});

test('functions do what Go\u2019s do', () => {
  check([
    ['{{ index .Match 1 }} {{ index .Group "b" }} {{ index "abc" 0 }} {{ index .Type }}', '10 0a 97 A'],
    ['{{ len .Name }} {{ len .Match }} {{ len .Group }} {{ len "\u00e9" }}', '20 3 3 2'],
    ['{{ slice .Name 0 2 }} {{ slice .Name 18 }} {{ slice .Match 1 }} {{ slice .Match 1 2 3 }}', 'ip e. [10 1] [10]'],
    [
      '{{ parseInt "ff" 16 8 }} {{ parseInt "0x1f" 0 64 }} {{ parseInt "18446744073709551615" 10 64 }}',
      '255 31 18446744073709551615',
    ],
    ['{{ parseInt "1_000" 0 0 }} {{ parseInt "017" 0 0 }} {{ parseInt "Zz" 36 64 }}', '1000 15 1295'],
    [
      '{{ eq 1 1 }}{{ eq "a" "b" "a" }}{{ ne 1 2 }}{{ lt 1 2 }}{{ le 2 2 }}{{ gt 1 2 }}{{ ge 2 2 }}',
      'truetruetruetruetruefalsetrue',
    ],
    ['{{ lt "a" "b" }}{{ lt 1.5 2.5 }}{{ eq nil .Group.missing }}{{ eq .Type nil }}', 'truetruetruefalse'],
    ['{{ and 1 0 2 }} {{ or 0 "" 3 }} {{ or 0 "" }}| {{ not 0 }} {{ and true 5 }}', '0 3 | true 5'],
    ['{{ or .Group.a (index .Match 9) }}', '10'],
    ['{{ "x" | or "" }}{{ 0 | and 1 }}', 'x0'],
    ['{{ print 1 2 "a" 3 }}{{ println "a" 1 }}', '1 2a3a 1\n'],
  ]);
});

test('printf writes as fmt does', () => {
  check([
    ['{{ printf "%s|%5s|%-5s|%.2s|%q" "ab" "ab" "ab" "abc" "a\\"b" }}', 'ab|   ab|ab   |ab|"a\\"b"'],
    ['{{ printf "%d|%5d|%-5d|%05d|%+d|% d" 42 42 42 42 42 42 }}', '42|   42|42   |00042|+42| 42'],
    ['{{ printf "%x|%X|%#x|%o|%b|%O|%08b|%#o" 255 255 255 8 5 8 5 8 }}', 'ff|FF|0xff|10|101|0o10|00000101|010'],
    ['{{ printf "%x|%X|% x" "hi" "hi" "hi" }}', '6869|6869|68 69'],
    ['{{ printf "%v|%v|%v|%+v" 1.5 true .Match 3 }}', '1.5|true|[ip-10-1-2-3.example. 10 1]|+3'],
    [
      '{{ printf "%f|%.1f|%8.2f|%e|%g|%.3g|%06.1f|%G" 1.5 1.35 1.5 1500.0 1e21 1234.5 -1.5 1e21 }}',
      '1.500000|1.4|    1.50|1.500000e+03|1e+21|1.23e+03|-001.5|1E+21',
    ],
    ['{{ printf "%c|%U|%t|%T|%T|%%" 65 65 true "a" 1 }}', 'A|U+0041|true|string|int|%'],
    ['{{ printf "%d" "a" }}', '%!d(string=a)'],
    [
      '{{ printf "%s" }}|{{ printf "a" 1 }}|{{ printf "%" }}|{{ printf "%z" 1 }}',
      '%!s(MISSING)|a%!(EXTRA int=1)|%!(NOVERB)|%!z(int=1)',
    ],
    ['{{ printf "%d %s" .Match "x" }}', '[%!d(string=ip-10-1-2-3.example.) %!d(string=10) %!d(string=1)] x'],
    ['{{ printf "%.3d|%6.3d" 7 7 }}', '007|   007'],
  ]);
});

test('what Go refuses when it parses is refused when the configuration is read, with its place', () => {
  compileFails([
    ['{{ .Name', /column 3: the action is not closed/],
    ['ok {{ foo }}', /column 7: no function is called foo; there are and eq .* slice/],
    ['{{ html .Name }}', /no function is called html/],
    ['line\n {{ call .Name }}', /line 2, column 5/],
    ['{{ if true }}', /column 4: \{\{ if \}\} has no \{\{ end \}\}/],
    ['{{ if true }}{{ else }}', /has no \{\{ end \}\}/],
    ['{{ end }}', /unexpected \{\{ end \}\}/],
    ['{{ else }}', /unexpected \{\{ else \}\}/],
    ['{{ if 1 }}{{ else }}{{ else }}{{ end }}', /a second \{\{ else \}\}/],
    ['{{ if 1 }}{{ else with 1 }}{{ end }}', /unexpected with after else/],
    ['{{ range 1 }}{{ else range 1 }}{{ end }}', /unexpected range after else/],
    ['{{ if }}{{ end }}', /a value is missing/],
    ['{{ }}', /a value is missing/],
    ['{{ .Name | }}', /a value is missing/],
    ['{{ | .Name }}', /a value is missing/],
    ['{{ () }}', /a value is missing/],
    ['{{ (.Name }}', /is not closed/],
    ['{{ .Name) }}', /unexpected "\)"/],
    ['{{ $y }}', /the variable \$y is not defined/],
    ['{{ "abc }}', /the " has no closing partner/],
    ['{{ `abc }}', /has no closing partner/],
    ['{{ "a""b" }}', /a blank is missing/],
    ['{{ .Match.0 }}', /a blank is missing before 0/],
    ['{{ 12x }}', /"12x" is not a number/],
    ['{{ 08 }}', /"08" is not a number/],
    ['{{ 1__0 }}', /is not a number/],
    ['{{ 9223372036854775808 }}', /overflows int/],
    ["{{ 'ab' }}", /is not one character/],
    ['{{ "\\xff" }}', /is not an escape/],
    ['{{ "\\q" }}', /is not an escape/],
    ['{{ 1 | 2 }}', /something that is not a function/],
    ['{{ "a" "b" }}', /something that is not a function/],
    ['{{ nil }}', /nil is not a command/],
    ['{{ "a".Field }}', /has no fields/],
    ['{{ .Name # }}', /"#" does not belong here/],
    ['{{ break }}', /outside of a \{\{ range \}\}/],
    ['{{ define "x" }}{{ end }}', /\{\{ define \}\} is not supported/],
    ['{{ template "x" }}', /\{\{ template \}\} is not supported/],
    ['{{/* open', /not closed with/],
    ['{{/* x */ .Name }}', /must end right before/],
    [`{{ ${'('.repeat(100)}1${')'.repeat(100)} }}`, /nested more than 64 deep/],
    [`${'{{ if 1 }}'.repeat(100)}${'{{ end }}'.repeat(100)}`, /nested more than 64 deep/],
    [`{{ if 1 }}${'{{ else if 1 }}'.repeat(10_000)}{{ end }}`, /nested more than 64 deep/],
  ]);
});

test('what goes wrong while it runs says where', () => {
  runFails([
    ['{{ .Nmae }}', /column 4: templateData has no field \.Nmae; it has \.Name/],
    ['{{ .constructor }}', /no field \.constructor/],
    ['{{ .Name.Length }}', /type string has no field \.Length/],
    ['a {{ index .Match 5 }}', /column 6: index: the index 5 is out of range/],
    ['{{ index .Match "a" }}', /a whole number is expected/],
    ['{{ index .Match -1 }}', /out of range/],
    ['{{ index .Group 1 }}', /a string is expected, not a value of type int/],
    ['{{ index 1 1 }}', /type int has no index/],
    ['{{ slice .Match 2 1 }}', /out of range/],
    ['{{ slice .Name 0 1 2 }}', /three indexes/],
    ['{{ len 3 }}', /type int has no length/],
    ['{{ parseInt "xyz" 16 8 }}', /cannot read "xyz" in base 16/],
    ['{{ parseInt "" 10 8 }}', /cannot read/],
    ['{{ parseInt "-1" 10 8 }}', /cannot read/],
    ['{{ parseInt "256" 10 8 }}', /"256" does not fit in 8 bits/],
    ['{{ parseInt "1" 1 8 }}', /no base 1/],
    ['{{ parseInt "1" 10 65 }}', /no size of 65 bits/],
    ['{{ parseInt .Group.missing 10 8 }}', /a string is expected, not a value of type nil/],
    ['{{ parseInt "1" 10 }}', /parseInt takes 3 arguments, not 2/],
    ['{{ not }}', /not takes 1 arguments, not 0/],
    ['{{ eq 1 "1" }}', /int cannot be compared with string/],
    ['{{ eq 1 1.0 }}', /int cannot be compared with float64/],
    ['{{ lt true false }}', /have no order/],
    ['{{ eq .Match .Match }}', /type slice cannot be compared/],
    ['{{ .Name "x" }}', /an argument follows something that is not a function/],
    ['{{ .Meta }}', /the method takes 1 string/],
    ['{{ .Meta 1 }}', /the method takes 1 string/],
    ['{{ range .Name }}{{ end }}', /no range over a value of type string/],
  ]);
});

test('a template that would not end, or writes without end, is stopped', () => {
  runFails([
    ['{{ range 1000000000 }}{{ end }}', /takes more than 10000 steps/],
    ['{{ range 200 }}{{ range 200 }}{{ . }}{{ end }}{{ end }}', /takes more than 10000 steps/],
    [`{{ range 2000 }}${'x'.repeat(100)}{{ end }}`, /makes more than 65536 characters/],
    ['{{ printf "%100000d" 1 }}', /width or precision of 100000/],
    ['{{ range 100 }}{{ printf "%60000d" 1 }}{{ end }}', /makes more than 65536 characters/],
    ['{{ $x := "aaaaaaaaaaaaaaaa" }}{{ range 40 }}{{ $x = print $x $x }}{{ end }}', /makes more than 65536/],
  ]);
});

test('whatever the source, compiling and running either works or throws an Error with a sentence', () => {
  const word = fc.constantFrom(
    '{{',
    '}}',
    '{{-',
    '-}}',
    ' ',
    '.',
    '.Name',
    '.Group.a',
    '$x',
    ':=',
    '=',
    '|',
    '(',
    ')',
    'if',
    'else',
    'end',
    'range',
    'with',
    'break',
    'index',
    'printf',
    'and',
    'nil',
    'true',
    '"s"',
    '`r`',
    '1',
    '-1',
    '1.5',
    "'a'",
    ',',
    'text',
    '%',
    '\n',
    '/*',
    '*/',
  );
  fc.assert(
    fc.property(fc.array(word, { maxLength: 24 }), (words) => {
      try {
        assert.equal(typeof run(words.join('')), 'string');
      } catch (error) {
        assert.match((error as Error).message, /^Template ".*: .*\.$/s);
      }
    }),
    { numRuns: 2000 },
  );
});

test('text without actions comes out as it went in', () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 60 }), (text) => {
      fc.pre(!text.includes('{{'));
      assert.equal(run(text), text);
    }),
  );
});

test('a quoted string comes out as it was before quoting', () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 40 }), (text) => {
      const quoted = JSON.stringify(text);
      assert.equal(run(`{{ ${quoted} }}`), text);
    }),
  );
});
