import assert from 'node:assert/strict';
import { describe, it, test } from 'node:test';
import { type CheckOptions, type ConfigFinding, check, type Report, writeReports } from '../../src/config/check.js';
import { parseConfig } from '../../src/config/load.js';
import type { CheckOutputOptions } from '../../src/config/serve-options.js';
import { testOptions } from './options.js';

const make: CheckOptions = {
  localAddresses: ['169.254.20.10', '10.96.0.10'],
  dnsPort: 53,
  clusterDns: { endpoint: null, missing: 'KUBE_DNS_SERVICE_HOST is not set; set it.' },
  healthPort: 8080,
  prometheusAddress: ':9253',
  corefilePath: '/etc/Corefile',
  baseCorefilePath: '/etc/coredns/Corefile.base',
  kubeDnsFolder: '/etc/kube-dns',
  metricsAddress: null,
  reloadWithSignal: false,
  corefileGiven: false,
  baseCorefileGiven: false,
};

function run(
  files: Readonly<Record<string, string>>,
  names = Object.keys(files),
  more: Partial<CheckOptions> & { readonly stdin?: string } = {},
) {
  const lines: string[] = [];
  const reports = check(names, testOptions(files), { ...make, ...more }, Buffer.from(more.stdin ?? ''));
  const exitCode = writeReports(reports, { output: 'text', isStrict: false }, (line) => lines.push(line));
  return { lines, exitCode };
}
const everything = 'bind 169.254.20.10\nerrors\nreload\nready :8181\ncache\n';
const good = `. {\nforward . 10.0.0.1\n${everything}}\n`;

test('a good file is ok in one line', () => {
  assert.deepEqual(run({ '/a': good }), { lines: ['/a: ok, 1 server block, 0 warnings'], exitCode: 0 });
});
test('warnings come first and do not fail', () => {
  const { lines, exitCode } = run({
    '/a': `. {\nforward . 10.0.0.1\nbufsize 4096\n${everything}}\nb. {\nforward . 10.0.0.1\n${everything}}\n`,
  });
  assert.equal(exitCode, 0);
  assert.match(lines[0], /^\/a:3: warning: bufsize: /u);
  assert.equal(lines[1], '/a: ok, 2 server blocks, 1 warning');
});
test('an error fails, after the warnings that may explain it, and the next file is still checked', () => {
  const { lines, exitCode } = run({ '/a': '. {\nforward . {$GONE}\n}\n', '/b': good });
  assert.equal(exitCode, 2);
  assert.match(lines[0], /^\/a:2: warning: the variable \{\$GONE\} is not set/u);
  assert.match(lines[1], /^\/a:2: error: forward: an upstream is empty/u);
  assert.equal(lines[2], '/b: ok, 1 server block, 0 warnings');
});
test('a file that is not there fails', () => {
  const { lines, exitCode } = run({}, ['/none']);
  assert.equal(exitCode, 2);
  assert.deepEqual(lines, ['/none: error: no such file: /none; name a Corefile that this user can read.']);
});
test('without a file the built-in configuration is printed, and it is a Corefile', () => {
  const { lines, exitCode } = run({}, []);
  assert.equal(exitCode, 0);
  assert.equal(parseConfig(lines.join('\n'), 'printed', testOptions()).blocks.length, 4);
});

const template =
  '. {\n  bind __PILLAR__LOCAL__DNS__\n  forward . __PILLAR__CLUSTER__DNS__ {\n    force_tcp\n  }\n' +
  '  errors\n  reload\n  ready :8181\n  cache\n}\n';

test('a template is shown as what it becomes, and an example stands for a cluster DNS that is not known', () => {
  assert.deepEqual(run({ '/base': template }), {
    lines: [
      '/base: a template, which becomes:',
      '. {',
      '  bind 169.254.20.10 10.96.0.10',
      '  forward . 192.0.2.53 {',
      '    force_tcp',
      '  }',
      '  errors',
      '  reload',
      '  ready :8181',
      '  cache',
      '}',
      '/base: warning: 192.0.2.53 is used as the cluster DNS here: KUBE_DNS_SERVICE_HOST is not set; set it.',
      '/base: ok, 1 server block, 1 warning',
    ],
    exitCode: 0,
  });
});
test('the ConfigMap of kube-dns is part of what a template becomes', () => {
  const files = { '/base': template, '/etc/kube-dns/stubDomains': '{"acme.local": ["1.2.3.4"]}' };
  const { lines, exitCode } = run(files, ['/base']);
  assert.equal(exitCode, 0);
  assert.equal(lines[0], '/base: a template, which, with /etc/kube-dns/stubDomains, becomes:');
  assert.ok(lines.includes('acme.local:53 {'));
  assert.equal(lines.at(-1), '/base: ok, 2 server blocks, 1 warning');
  const wrong = run({ ...files, '/etc/kube-dns/stubDomains': '[]' }, ['/base']);
  assert.equal(wrong.exitCode, 2);
  assert.match(wrong.lines.join('\n'), /^\/etc\/kube-dns\/stubDomains: error: must be an object such as [^\n]*$/u);
});
test('a template that is wrong fails with its line', () => {
  const { lines, exitCode } = run({ '/base': template.replace('CLUSTER', 'CLUSTR') });
  assert.equal(exitCode, 2);
  assert.match(lines.join('\n'), /^\/base:3: error: __PILLAR__CLUSTR__DNS__ is not a placeholder; [^\n]*$/u);
});
test('a template that asks no cluster DNS needs none', () => {
  const { lines } = run({ '/base': template.replace('__PILLAR__CLUSTER__DNS__', '__PILLAR__UPSTREAM__SERVERS__') });
  assert.ok(!lines.some((line) => line.includes('stands for the cluster DNS')), lines.join('\n'));
  assert.match(lines.at(-1) ?? '', /: ok, /u);
});

function findingsOf(text: string) {
  const [{ findings }] = check(['/a'], testOptions({ '/a': text }), make);
  return findings.map(({ severity, code, line, remedy }) => [severity, code, line, remedy]);
}

test('what is found has a code: of the advice, of the directive that is spoken of, or of the Corefile', () => {
  assert.deepEqual(
    findingsOf(`. {\nforward . 10.0.0.1\n${everything}bufsize 4096\ntemplate ANY AAAA {\nrcode 3\n}\n}\n`),
    [
      ['warning', 'bufsize', 8, 'write a smaller size'],
      ['warning', 'aaaa-nxdomain', 9, 'write "aaaa nodata" or "aaaa smart" instead'],
    ],
  );
  assert.deepEqual(findingsOf(`. {\n${everything}}\n`), [['warning', 'corefile', 1, null]]);
  assert.deepEqual(findingsOf('. {\nforward . {$GONE}\n}\n'), [
    ['warning', 'corefile', 2, 'set it or remove it'],
    ['error', 'forward', 2, 'is {$KUBE_DNS_SERVICE_HOST} set? Write an IP address or a resolv.conf'],
  ]);
  assert.deepEqual(findingsOf(`. {\nforward . 10.0.0.1\n${everything}}\na {\n`), [
    ['error', 'corefile', 9, 'add its }'],
  ]);
  assert.deepEqual(findingsOf(good.replace('cache\n', '')), [['warning', 'cache-missing', 1, 'add "cache 30"']]);
});
test('findings stand in the order of their lines', () => {
  const text = good.replace('errors\n', 'bufsize 4096\n').replace('cache\n', 'bufsize 4096\n');
  const lines = findingsOf(text).map(([, , line]) => line);
  assert.deepEqual(lines, [1, 1, 4, 7]);
});
test('a file is read once, since a pipe cannot be read again', () => {
  const options = testOptions({ '/dev/stdin': good });
  let reads = 0;
  const read = (file: string) => (reads++ === 0 ? options.files.read(file) : '');
  const [{ ok }] = check(['/dev/stdin'], { ...options, files: { ...options.files, read } }, make);
  assert.deepEqual({ ok, reads }, { ok: true, reads: 1 });
});

describe('every error of a file is found', () => {
  const linesOf = (text: string, files = {}) =>
    run({ '/a': text, ...files }, ['/a']).lines.map((line) => /^(\/\w+:\d+: error: [^;]*)/u.exec(line)?.[1] ?? line);

  it('of directives, options, words, zones and blocks, in the order of their lines', () => {
    const text = `a..b {
    erors
    cache {
        succes 1
        denial x
        prefetch 2 1m 95%
    }
    forward . 10.0.0.1:x 10.0.0.2 10.0.0.3:0 {
        policy fast
    }
    template IN NOTYPE {
        answer "x"
    }
}
. {
    bind nowhere
    forward . 10.0.0.1
    log {
        class everything
    }
}
b.test {
    forward . 10.0.0.1
    health nowhere
}
b.test {
    forward . 10.0.0.1
}
`;
    assert.deepEqual(linesOf(text), [
      '/a:1: error: "a..b" has an empty label',
      '/a:2: error: unknown directive "erors"',
      '/a:4: error: cache: does not know "succes"',
      '/a:5: error: cache denial: the capacity must be a whole number from 0 to 9007199254740991, not "x".',
      '/a:6: error: cache prefetch: the share of the TTL must be from 10% to 90%, with its %, not "95%".',
      '/a:8: error: forward: "10.0.0.1:x" is not an upstream',
      '/a:8: error: forward: "10.0.0.3:0" is not an upstream',
      '/a:11: error: template: "NOTYPE" is not a record type',
      '/a:16: error: bind: "nowhere" is neither an IP address nor an interface of this host.',
      '/a:19: error: log class: the class must be success, denial, error or all, not "everything".',
      '/a:24: error: health: "nowhere" must be ADDRESS:PORT, for example 127.0.0.1:8080.',
      '/a:26: error: the zone b.test. on port 53 of all addresses is already served by the server block on line 22',
    ]);
  });

  const block = 'forward . 10.0.0.1\nerors\n';
  const slips: Record<string, [text: string, lines: readonly number[]]> = {
    'a { on its own line': [`. {\ncache\n{\nsucces 1\n}\n${block}}\n`, [3, 4, 7]],
    'a } on the line of a directive': [`. {\ncache { success x }\n${block}}\n`, [2, 2, 4]],
    'words behind a }': [`. {\ncache {\n} errors\n${block}}\n`, [3, 5]],
    'a } too many between blocks': [`. {\n${block}}\n}\nb.test {\n${block}}\n`, [3, 5, 8]],
    'a blank that is missing before a {': [`.{\n${block}}\nb.test {\n${block}}\n`, [1, 3, 7]],
    'a block without a zone': [`{\n${block}}\nb.test {\n${block}}\n`, [1, 3, 7]],
    'a comma before a {': [`a.test, {\n${block}}\nb.test {\n${block}}\n`, [1, 3, 7]],
    'a zone without a block': [`. {\n${block}}\nb.test\n`, [3, 5]],
    'blocks that are nested too deep': [`. {\nany {\n${'b {\n'.repeat(9)}${'}\n'.repeat(10)}${block}}\n`, [10, 23]],
    'a quote that is never closed': [`. {\nlog . "{remote}\n${block}}\nb.test {\n${block}}\n`, [2, 4, 8]],
    'an import that finds nothing': [`. {\nimport gone\nerors\n}\n`, [2, 3]],
    'a snippet twice': [`(s) {\nerrors\n}\n(s) {\nlog\n}\n. {\nimport s\n${block}}\n`, [4, 10]],
    'a directive twice': [`. {\ncache\ncache {\nsucces\n}\n${block}}\n`, [3, 4, 7]],
    'a block that is never closed, of which nothing more is said': [
      `. {\n${block}}\nb.test {\nerors\ncache {\nsucces\n}\n`,
      [3, 5],
    ],
  };
  for (const [slip, [text, expected]] of Object.entries(slips)) {
    it(`behind ${slip}`, () => {
      const { lines, exitCode } = run({ '/a': text }, ['/a']);
      assert.equal(exitCode, 2);
      const found = lines.filter((line) => line.includes(' error: ')).map((line) => Number(line.split(':')[1]));
      assert.deepEqual(found, expected, lines.join('\n'));
    });
  }

  it('once where a snippet or file is imported twice, with its own place', () => {
    const text = '(s) {\nerors\n}\n. {\nimport s\nimport /b\n}\nb.test {\nimport s\nimport /b\nfoo\n}\n';
    assert.deepEqual(linesOf(text, { '/b': 'cash\n' }), [
      '/a:2: error: unknown directive "erors"',
      '/a:11: error: unknown directive "foo"',
      '/b:1: error: unknown directive "cash"',
    ]);
  });

  it('and is a quote open that may be one further up, nothing is said of what is perhaps quoted', () => {
    const { lines } = run({ '/a': '. {\ntemplate IN A {\nanswer "x\n}\nlog . "y "\nerors\n}\n' }, ['/a']);
    assert.deepEqual(lines, [
      '/a:5: error: unclosed quote; add the closing ", perhaps of the quote that starts on line 3.',
    ]);
  });

  it('and nothing is said that only follows from another error', () => {
    assert.deepEqual(linesOf('a..b {\nacl x.test {\nblock\n}\nforward x.test 10.0.0.1\nbind 127.0.0.1\n}\n'), [
      '/a:1: error: "a..b" has an empty label',
    ]);
    assert.deepEqual(linesOf('. {\nforward . 10.0.0.1:x\n}\n'), [
      '/a:2: error: forward: "10.0.0.1:x" is not an upstream',
    ]);
    assert.deepEqual(linesOf('. {\nbind nowhere\nforward . 10.0.0.1\n}\n. {\nforward . 10.0.0.1\n}\n').length, 1);
  });
});

describe('without a file', () => {
  it('-conf is what is checked, and what a template of -basecorefile becomes', () => {
    const files = { '/c': '. {\nerors\n}\n', '/base': template };
    const conf = { corefilePath: '/c', corefileGiven: true };
    const { lines, exitCode } = run(files, [], conf);
    assert.deepEqual([exitCode, lines.length], [2, 1]);
    assert.match(lines[0], /^\/c:2: error: unknown directive "erors"/u);
    const base = run(files, [], { ...conf, baseCorefilePath: '/base', baseCorefileGiven: true });
    assert.equal(base.lines[0], '/base: a template, which becomes:');
    assert.deepEqual(run(files, [], { corefilePath: '/none', corefileGiven: true }).lines, [
      '/none: error: no such file: /none; name a Corefile that this user can read.',
    ]);
  });

  it('the built-in configuration is that of the flags', () => {
    const { lines } = run({ '/etc/kube-dns/stubDomains': '{"acme.local": ["10.0.0.53"]}' }, [], {
      ...{ localAddresses: ['169.254.20.10', 'fd00::10'], dnsPort: 1053, healthPort: 8090, prometheusAddress: ':9999' },
      clusterDns: { endpoint: { address: '10.0.0.10', port: 5353 }, missing: null },
    });
    const { blocks, health, metrics } = parseConfig(lines.join('\n'), 'printed', testOptions());
    assert.deepEqual(
      blocks.map(({ zones }) => `${zones[0].zone}${zones[0].port}`),
      ['cluster.local.1053', 'in-addr.arpa.1053', 'ip6.arpa.1053', '.1053', 'acme.local.1053'],
    );
    assert.deepEqual(blocks[0].addresses, ['169.254.20.10', 'fd00::10']);
    assert.deepEqual(blocks[0].forwards[0].to, [{ kind: 'endpoint', endpoint: { address: '10.0.0.10', port: 5353 } }]);
    assert.deepEqual([health?.addresses[0].port, metrics[0].port], [8090, 9999]);
  });

  it('a comment says that an example stands for the cluster DNS', () => {
    assert.match(
      run({}, []).lines[0],
      /^# 10\.96\.0\.10 is used as the cluster DNS here: KUBE_DNS_SERVICE_HOST is not set/u,
    );
  });
});

it('- is what stdin has, a Corefile or a template', () => {
  const { lines, exitCode } = run({}, ['-'], { stdin: '. {\nerors\n}\n' });
  assert.equal(exitCode, 2);
  assert.match(lines[0], /^\(stdin\):2: error: unknown directive "erors"/u);
  assert.equal(run({}, ['-'], { stdin: good }).lines[0], '(stdin): ok, 1 server block, 0 warnings');
  assert.equal(run({}, ['-'], { stdin: template }).lines[0], '(stdin): a template, which becomes:');
  assert.match(run({}, ['-']).lines[0], /^\(stdin\): error: the Corefile has no server block; write one/u);
});

const finding: ConfigFinding = {
  severity: 'warning',
  code: 'cache-missing',
  file: '/a',
  line: 3,
  message: 'it hurts',
  remedy: 'fix it',
};
const report: Report = { file: '/a', ok: true, serverBlocks: 2, text: null, madeWith: [], findings: [finding] };
const broken: Report = {
  ...{ file: '/b', ok: false, serverBlocks: 0, text: null, madeWith: [] },
  findings: [{ ...finding, severity: 'error', file: '/b', line: null, message: 'It is gone.', remedy: null }],
};

function written(output: CheckOutputOptions['output'] | 'strict', ...reports: readonly Report[]) {
  const lines: string[] = [];
  const isStrict = output === 'strict';
  const wishes = { output: isStrict ? 'text' : output, isStrict } as const;
  return { exitCode: writeReports(reports, wishes, (line) => lines.push(line)), lines };
}

test('for people: a line each, with what to do', () => {
  assert.deepEqual(written('text', report, broken), {
    exitCode: 2,
    lines: ['/a:3: warning: it hurts; fix it.', '/a: ok, 2 server blocks, 1 warning', '/b: error: It is gone.'],
  });
});
test('for programs: one object, whose shape is promised', () => {
  const { exitCode, lines } = written('json', report, broken);
  assert.equal(exitCode, 2);
  assert.deepEqual(JSON.parse(lines.join('\n')), { schema: 1, ok: false, files: [report, broken] });
  assert.equal(written('json', report).exitCode, 0);
});
test('the built-in configuration is printed as a Corefile', () => {
  const builtin = { ...report, file: '(built-in)', text: '. {\n}\n' };
  assert.deepEqual(written('text', builtin), { exitCode: 0, lines: ['. {', '}'] });
  const example = { ...finding, line: null, message: 'an address stands for another', remedy: 'set it' };
  assert.deepEqual(written('strict', { ...builtin, findings: [example] }), {
    exitCode: 0,
    lines: ['# an address stands for another.', '. {', '}'],
  });
});
test('-strict refuses what has a warning, and says so', () => {
  assert.deepEqual(written('strict', report), {
    exitCode: 2,
    lines: ['/a:3: warning: it hurts; fix it.', '/a: rejected by -strict, 2 server blocks, 1 warning'],
  });
  assert.equal(written('strict', { ...report, findings: [] }).exitCode, 0);
});
