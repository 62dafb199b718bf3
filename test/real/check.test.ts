/** `zerohop check` as a program: what it is given on the command line or stdin, and what its exit status says. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { needs } from './commands.js';
import { entry } from './zerohop.js';

const folder = mkdtempSync(join(tmpdir(), 'zerohop-check-'));
after(() => rmSync(folder, { recursive: true }));

interface Ended {
  readonly status: number | null;
  readonly lines: string[];
  readonly stderr: string;
}

function zerohop(words: readonly string[], input = '', wrapper: readonly string[] = []): Ended {
  const [program, ...rest] = [...wrapper, ...entry, ...words];
  const { status, stdout, stderr } = spawnSync(program, rest, { input, encoding: 'utf8' });
  return { status, lines: stdout.trimEnd().split('\n'), stderr };
}

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

const good = `. {
    bind 127.0.0.1
    errors
    cache
    reload
    ready :8181
    forward . 192.0.2.1
}
`;
const bad = '. {\n    erors\n    cash\n    forward . 192.0.2.1 {\n        policy fast\n    }\n}\n';

test('-conf FILE without another file is what is checked: all its errors, exit 2', () => {
  const path = file('bad', bad);
  const { status, lines, stderr } = zerohop(['check', '-conf', path]);
  assert.deepEqual([status, stderr, lines.length], [2, '', 3]);
  for (const [index, line] of [2, 3, 5].entries())
    assert.ok(lines[index].startsWith(`${path}:${line}: error: `), lines[index]);
  const { status: json, lines: text } = zerohop(['check', '-o', 'json', `-conf=${path}`]);
  const { ok, files } = JSON.parse(text.join('\n'));
  assert.deepEqual([json, ok, files[0].file, files[0].findings.length], [2, false, path, 3]);
  assert.equal(zerohop(['check', '-conf', file('good', good)]).status, 0);
});

test('- is stdin, also when it is empty', () => {
  assert.match(zerohop(['check', '-'], bad).lines[0], /^\(stdin\):2: error: unknown directive "erors"/u);
  assert.deepEqual(zerohop(['check', '-'], good), {
    ...{ status: 0, stderr: '', lines: ['(stdin): ok, 1 server block, 0 warnings'] },
  });
  assert.match(zerohop(['check', '-']).lines[0], /^\(stdin\): error: the Corefile has no server block/u);
});

test('--strict refuses what has warnings', () => {
  const unwise = good.replace('cache\n', '');
  assert.equal(zerohop(['check', '-'], unwise).status, 0);
  const { status, lines } = zerohop(['check', '--strict', '-'], unwise);
  assert.equal(status, 2);
  assert.equal(lines.at(-1), '(stdin): rejected by -strict, 1 server block, 1 warning');
  assert.equal(zerohop(['check', '--strict', '-'], good).status, 0);
});

test('without a file the built-in configuration is printed, with what the flags say', () => {
  const { status, lines } = zerohop(['check', '-localip', '127.0.0.2,::1', '-upstreamsvc', '192.0.2.9', '-p', '1053']);
  assert.equal(status, 0);
  assert.equal(lines[0], 'cluster.local:1053 {');
  assert.ok(lines.includes('    bind 127.0.0.2 ::1'));
  assert.ok(lines.includes('    forward . 192.0.2.9:53 {'));
  assert.match(zerohop(['check', '-', '-p', '1053'], lines.join('\n')).lines.at(-1) ?? '', /: ok, 4 server blocks/u);
});

describe('a file that is none', () => {
  const sentences: Record<string, [path: () => string, why: string]> = {
    'not there': [() => join(folder, 'gone'), 'no such file'],
    'a folder': [() => join(folder, 'folder'), 'is a directory'],
    'no text': [() => join(folder, 'bytes'), 'not UTF-8 text'],
    empty: [() => file('empty', ''), 'the Corefile has no server block'],
  };
  mkdirSync(join(folder, 'folder'));
  writeFileSync(join(folder, 'bytes'), Buffer.from([0xff, 0xfe]));
  for (const [what, [path, why]] of Object.entries(sentences)) {
    test(`because it is ${what}`, () => {
      const { status, lines, stderr } = zerohop(['check', path()]);
      assert.deepEqual([status, stderr, lines.length], [2, '', 1]);
      assert.ok(lines[0].startsWith(`${path()}: error: ${why}; `), lines[0]);
    });
  }

  test('because this user may not read it', { skip: needs('root', 'setpriv') }, () => {
    chmodSync(folder, 0o755);
    const path = file('secret', good);
    chmodSync(path, 0o600);
    const { status, lines } = zerohop(['check', path], '', ['setpriv', '--reuid=65534', '--clear-groups']);
    assert.equal(status, 2);
    assert.ok(lines[0].startsWith(`${path}: error: permission denied; `), lines[0]);
  });
});

test('a start says the first error and how to see the others', () => {
  const path = file('bad', bad);
  const { status, stderr } = zerohop([
    '-conf',
    path,
    '-setupinterface=false',
    '-setupiptables=false',
    '-handover=',
    '-control=',
  ]);
  assert.equal(status, 2);
  assert.match(
    stderr,
    /^zerohop: \S+bad:2: unknown directive "erors"; .*\? And 2 more errors; see zerohop check \S+bad\.\n$/u,
  );
});
