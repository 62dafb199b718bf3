/** The completion scripts in real shells: bash and fish are asked what they would offer, zsh in a terminal of its own. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { commands } from '../../src/config/commands.js';
import { completionScript } from '../../src/config/completion.js';
import { needs } from '../real/commands.js';

const folder = mkdtempSync(join(tmpdir(), 'zerohop-completion-'));
after(() => rmSync(folder, { recursive: true }));
mkdirSync(join(folder, 'etc'));
writeFileSync(join(folder, 'etc.file'), '');
for (const shell of ['bash', 'zsh', 'fish'] as const) {
  writeFileSync(join(folder, shell), `${completionScript(shell)}\n`);
}

function offered(program: string, args: readonly string[]): string[] {
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8', cwd: folder, timeout: 20_000 });
  assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
  const words = stdout.split(/\s+/).filter((word) => word !== '');
  return [...new Set(words)].sort();
}

/** What bash would offer for the last word, which it has split at each `=`. */
function inBash(...words: readonly string[]): string[] {
  const script = `source ./bash; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _zerohop; printf '%s\\n' "\${COMPREPLY[@]}"`;
  return offered('bash', ['-c', script, 'bash', 'zerohop', ...words]);
}

/** The words that fish would offer behind this line, without descriptions. */
function inFish(line: string): string[] {
  return offered('fish', ['--no-config', '-c', `source ./fish; complete -C ${JSON.stringify(line)} | cut -f1`]);
}

/** The words that zsh would offer: what its compadd is handed, in a terminal of its own. Keys typed meanwhile would end it. */
function inZsh(line: string): string[] {
  const script = `zmodload zsh/zpty zsh/zselect
zpty z zsh -f -i
zpty -w z 'PS1=; unsetopt zle_bracketed_paste; autoload -Uz compinit && compinit -u -D; source ./zsh'
zpty -w z 'zstyle ":completion:*" list-grouped false; zstyle ":completion:*" insert-tab false'
zpty -w z 'offer() { compadd() { builtin compadd -A taken "$@" 2>/dev/null; print -rl -- $taken >>offered; builtin compadd "$@" }; _main_complete; unfunction compadd; : >offer-ended }'
zpty -w z 'zle -C offer list-choices offer; bindkey "^I" offer; print READY'
until zpty -r z line && [[ $line == READY* ]]; do :; done
rm -f offered offer-ended
zpty -w -n z $'${line}\\t'
until [[ -e offer-ended ]]; do zselect -t 2; done
zpty -d z
cat offered 2>/dev/null; true`;
  return offered('zsh', ['-f', '-c', script]);
}

const names = commands.slice(1).map(({ name }) => name);

describe('bash', { skip: needs('bash') }, () => {
  test('commands, and those that begin with what is written', () => {
    assert.deepEqual(inBash(''), [...names].sort());
    assert.deepEqual(inBash('co'), ['completion']);
    assert.deepEqual(inBash('-conf', '/etc/Corefile', ''), [...names].sort());
  });

  test('flags of the command, with as many dashes as are written', () => {
    assert.deepEqual(inBash('-set'), ['-setupinterface', '-setupiptables']);
    assert.deepEqual(inBash('--set'), ['--setupinterface', '--setupiptables']);
    assert.deepEqual(inBash('check', '-st'), ['-strict']);
    assert.deepEqual(inBash('-st'), []);
    assert.deepEqual(inBash('demo', '-'), ['-h', '-help']);
    assert.deepEqual(inBash('-quiet', 'check', '--strict', '--ou'), ['--output']);
  });

  test('values, behind a blank and behind =', () => {
    assert.deepEqual(inBash('-firewall', ''), ['auto', 'iptables', 'nftables', 'none']);
    assert.deepEqual(inBash('-firewall', '='), ['auto', 'iptables', 'nftables', 'none']);
    assert.deepEqual(inBash('--firewall', '=', 'n'), ['nftables', 'none']);
    assert.deepEqual(inBash('check', '-o', 'j'), ['json']);
    assert.deepEqual(inBash('-quiet', '=', 'f'), ['false']);
    assert.deepEqual(inBash('-quiet', 'c'), ['check', 'completion'], 'no value behind a blank');
    assert.deepEqual(inBash('-localip', ''), []);
    assert.deepEqual(inBash('completion', ''), ['bash', 'fish', 'zsh']);
    assert.deepEqual(inBash('help', 'ch'), ['check']);
  });

  test('files, and folders where a folder is wanted', () => {
    assert.deepEqual(inBash('-conf', 'etc'), ['etc', 'etc.file']);
    assert.deepEqual(inBash('check', '-strict', 'etc'), ['etc', 'etc.file']);
    assert.deepEqual(inBash('-kubednscm', '=', 'etc'), ['etc']);
    assert.deepEqual(inBash('demo', 'etc'), []);
  });

  test('the value of a flag is no command', () => {
    assert.deepEqual(inBash('-interfacename', 'demo', '-st'), []);
    assert(inBash('-interfacename', 'demo', '-').includes('-conf'));
    assert(inBash('-interfacename', '=', 'demo', '-').includes('-conf'));
  });
});

describe('fish', { skip: needs('fish') }, () => {
  test('commands, flags, values and files', () => {
    assert.deepEqual(inFish('zerohop '), [...names].sort());
    assert.deepEqual(inFish('zerohop co'), ['completion']);
    assert.deepEqual(inFish('zerohop -set'), ['-setupinterface', '-setupiptables']);
    assert.deepEqual(inFish('zerohop --set'), ['--setupinterface', '--setupiptables']);
    assert.deepEqual(inFish('zerohop check -stri'), ['-strict']);
    assert.deepEqual(inFish('zerohop -stri'), []);
    assert.deepEqual(inFish('zerohop -firewall n'), ['nftables', 'none']);
    assert.deepEqual(inFish('zerohop --firewall=n'), ['--firewall=nftables', '--firewall=none']);
    assert.deepEqual(inFish('zerohop completion '), ['bash', 'fish', 'zsh']);
    assert.deepEqual(inFish('zerohop check etc'), ['etc.file', 'etc/']);
    assert.deepEqual(inFish('zerohop -conf etc'), ['etc.file', 'etc/']);
    assert.deepEqual(inFish('zerohop -kubednscm etc'), ['etc/']);
    assert.deepEqual(inFish('zerohop demo etc'), []);
  });
});

describe('zsh', { skip: needs('zsh') }, () => {
  test('commands, flags, values and files', () => {
    assert.deepEqual(inZsh('zerohop '), [...names].sort());
    assert.deepEqual(inZsh('zerohop -set'), ['-setupinterface', '-setupiptables']);
    assert.deepEqual(inZsh('zerohop --set'), ['--setupinterface', '--setupiptables']);
    assert.deepEqual(inZsh('zerohop check -stri'), ['-strict']);
    assert.deepEqual(inZsh('zerohop -firewall n'), ['nftables', 'none']);
    assert.deepEqual(inZsh('zerohop --firewall=n'), ['nftables', 'none']);
    assert.deepEqual(inZsh('zerohop -quiet=f'), ['false']);
    assert.deepEqual(inZsh('zerohop completion '), ['bash', 'fish', 'zsh']);
    assert.deepEqual(inZsh('zerohop check etc'), ['etc', 'etc.file']);
    assert.deepEqual(inZsh('zerohop -kubednscm etc'), ['etc']);
  });
});
