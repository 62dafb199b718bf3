/**
 * Starts that fail: every broken Corefile, bad flags, ports in use, no permission, files that cannot be read. Each
 * ends with the right exit code (1: it could not start, 2: usage or configuration) and one sentence that says what
 * to change.
 */
import assert from 'node:assert/strict';
import { chmodSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { openFilesToLoad } from '../../src/limits.js';
import { repositoryPath } from '../corpus/repository.js';
import { localAddress, makeNode, type Node } from './cluster-node.js';
import { eventually, type Finished, needs, run, start } from './commands.js';
import { entry, ioPath, nodeLocalCorefile, quietFlags } from './zerohop.js';

const skip = needs('root', 'ip', 'curl', 'setpriv', 'prlimit');
/** Processes started at one moment; each takes a core for a while. */
const together = 4;

describe('a start that must fail', { skip }, () => {
  let node: Node;
  let good: string;

  before(async () => {
    node = await makeNode();
    good = join(node.folder, 'good.corefile');
    writeFileSync(good, nodeLocalCorefile({}));
  });
  after(() => node?.remove());

  /** Runs zerohop in the node with what the broken Corefiles find in the environment. */
  function serve(corefile: string, wrapper: readonly string[] = [], flags: readonly string[] = []): Promise<Finished> {
    const environment = ['env', 'LOCAL=169.254.20.10', 'CLUSTER_DNS=10.96.0.10', 'EMPTY='];
    return run(node.command(...environment, ...wrapper, ...entry, '-conf', corefile, ...quietFlags, ...flags));
  }

  test('broken Corefiles: exit 2, and stderr says file, line and what is wrong', async () => {
    const folder = repositoryPath('test', 'config', 'broken');
    const files = readdirSync(folder).filter((file) => file.endsWith('.corefile'));
    assert(files.length >= 40, `${files.length} files`);
    const left = files.map((file) => join(folder, file));
    const worker = async (): Promise<void> => {
      for (let file = left.pop(); file !== undefined; file = left.pop()) await assertRefused(file);
    };
    await Promise.all(Array.from({ length: together }, worker));
  });

  async function assertRefused(file: string): Promise<void> {
    const [, line, text] = /^# expect: (\d+): (.+)\n/.exec(readFileSync(file, 'utf8')) ?? [];
    assert(text !== undefined, `${file} says what to expect`);
    const { status, stderr } = await serve(file);
    assert.equal(status, 2, `${file}: ${stderr}`);
    const place = line === '0' ? file : `${file}:${line}`;
    assert(stderr.includes(`${place}: ${text}`), `${file}: ${stderr}`);
    assertNoStackTrace(stderr);
  }

  test('a Corefile that is not there: exit 2, with its name', async () => {
    const { status, stderr } = await serve(join(node.folder, 'nowhere'));
    assert.equal(status, 2, stderr);
    assertOneSentence(stderr, /nowhere/);
  });

  test('a Corefile that may not be read: exit 2, with its name', async () => {
    const secret = join(node.folder, 'secret.corefile');
    writeFileSync(secret, nodeLocalCorefile({}));
    chmodSync(secret, 0o000);
    const { status, stderr } = await serve(secret, without('dac_override', 'dac_read_search'));
    assert.equal(status, 2, stderr);
    assertOneSentence(stderr, /secret\.corefile.*(?:permission|EACCES)/i);
  });

  const taken = [
    { protocol: 'udp', port: 53 },
    { protocol: 'tcp', port: 53 },
    { protocol: 'tcp', port: 8080 },
    { protocol: 'tcp', port: 8181 },
  ] as const;
  for (const { protocol, port } of taken) {
    test(`port ${port} taken by another program over ${protocol}: exit 1, with address and port`, async () => {
      const script = {
        udp: `require('dgram').createSocket('udp4').bind(${port}, '${localAddress}', () => console.log('bound'))`,
        tcp: `require('net').createServer().listen(${port}, '${localAddress}', () => console.log('bound'))`,
      }[protocol];
      const other = start(node.command(process.execPath, '-e', script));
      try {
        await eventually('the other program holds the port', () => (other.stdout() === 'bound\n' ? true : undefined));
        const { status, stderr } = await serve(good);
        assert.equal(status, 1, stderr);
        assertOneSentence(stderr, new RegExp(`169\\.254\\.20\\.10.*${port}.*(?:stop|change)`));
      } finally {
        await other.stop();
      }
    });
  }

  test('no permission for port 53: exit 1, and what to give', async () => {
    const { status, stderr } = await serve(good, without('net_bind_service'));
    assert.equal(status, 1, stderr);
    assertOneSentence(stderr, /53.*NET_BIND_SERVICE/i);
  });

  for (const limit of [24, 64, openFilesToLoad - 1]) {
    test(`no more than ${limit} open files: exit 1, with what it takes`, async () => {
      const { status, stderr } = await serve(good, ['prlimit', `--nofile=${limit}:${limit}`]);
      assert.equal(status, 1, stderr);
      assertOneSentence(stderr, new RegExp(`limit ${limit} is too low.*at least ${openFilesToLoad} .*ulimit -n`));
    });
  }

  test('fewer open files than threads need: exit 1, with what they take', {
    skip: ioPath === 'portable' && 'needs workers',
  }, async () => {
    const limits = ['prlimit', `--nofile=${openFilesToLoad}:${openFilesToLoad}`];
    const { status, stderr } = await serve(good, limits, ['-workers', '16']);
    assert.equal(status, 1, stderr);
    assertOneSentence(stderr, /limit \d+ is too low: this configuration needs \d+;.*ulimit -n.*fewer -workers/);
  });

  test('as many open files as it asks for are enough to start', async () => {
    const limited = (files: number | string): string[] => ['prlimit', `--nofile=${files}:${files}`];
    const { stderr } = await serve(good, limited(openFilesToLoad), ['-workers', '2']);
    const [, asked] = /this configuration needs (\d+);/.exec(stderr) ?? assert.fail(stderr);
    const program = start(node.command(...limited(asked), ...entry, '-conf', good, ...quietFlags, '-workers', '2'));
    try {
      await eventually('it serves', () => (program.stdout().includes(' serves on ') ? true : undefined));
    } finally {
      const { status, stdout } = await program.stop();
      assert.equal(status, 0);
      assert.doesNotMatch(stdout, /EMFILE/);
    }
  });

  test('an unknown flag: exit 2, and the nearest known one', async () => {
    const { status, stderr } = await serve(good, [], ['-metric-listen-address', '127.0.0.1:9353']);
    assert.equal(status, 2, stderr);
    assert.match(stderr, /metric-listen-address/);
    assert.match(stderr, /metrics-listen-address/);
    assertNoStackTrace(stderr);
  });

  for (const [flag, value] of [
    ['-localip', 'not-an-address'],
    ['-syncinterval', 'often'],
    ['-setupiptables', 'maybe'],
  ]) {
    test(`${flag} ${value}: exit 2, with the flag's name`, async () => {
      const { status, stderr } = await serve(good, [], [flag, value]);
      assert.equal(status, 2, stderr);
      assert.match(stderr, new RegExp(flag.slice(1)));
      assertNoStackTrace(stderr);
    });
  }

  test('the ClusterIP of another cluster in -localip: exit 2, with the addresses to write', async () => {
    const flags = ['-localip', '169.254.20.10,10.96.0.10', '-setupinterface'];
    const inPod = ['env', 'KUBE_DNS_SERVICE_HOST=10.43.0.10'];
    const { status, stderr } = await serve(good, inPod, flags);
    assert.equal(status, 2, stderr);
    assertOneSentence(
      stderr,
      /-localip 10\.96\.0\.10 .*10\.43\.0\.10; write -localip=169\.254\.20\.10,10\.43\.0\.10, or/,
    );
  });

  test('an address of another cluster that an earlier run has left on its interface or on lo: exit 2 too', async () => {
    const onNode = (...command: string[]): Promise<Finished> => run(node.command('ip', ...command));
    await onNode('link', 'add', 'zh-left', 'type', 'dummy');
    for (const link of ['zh-left', 'lo']) {
      const device = (await onNode('link', 'show', link)).status === 0 ? link : 'lo';
      await onNode('address', 'add', '10.96.0.10/32', 'dev', device);
      const flags = ['-localip', '10.96.0.10', '-setupinterface', '-interfacename', 'zh-left'];
      const { status, stderr } = await serve(good, ['env', 'KUBE_DNS_SERVICE_HOST=10.43.0.10'], flags);
      await onNode('address', 'del', '10.96.0.10/32', 'dev', device);
      assert.equal(status, 2, stderr);
      assertOneSentence(stderr, /-localip 10\.96\.0\.10 is neither/);
    }
  });

  test('-localip with a variable that Kubernetes has not replaced: exit 2, with the command that finds the address', async () => {
    const { status, stderr } = await serve(good, [], ['-localip', '169.254.20.10,$(KUBE_DNS_SERVICE_HOST)']);
    assert.equal(status, 2, stderr);
    assertOneSentence(stderr, /no variable KUBE_DNS_SERVICE_HOST.*kubectl -n kube-system get service kube-dns/);
  });

  test('-logformat that does not exist: exit 2, with those that do', async () => {
    const { status, stderr } = await serve(good, [], ['-logformat=yaml']);
    assert.equal(status, 2, stderr);
    assertOneSentence(stderr, /-logformat "yaml" is unknown; write auto, text or json\.$/);
  });

  test('a resolv.conf without servers harms its own zone only, and the log says what to write', async () => {
    const empty = join(node.folder, 'empty-resolv.conf');
    writeFileSync(empty, '# nothing\n');
    const corefile = `cluster.local:53 {
    bind ${localAddress}
    template IN A {
        answer "{{ .Name }} 5 IN A 192.0.2.1"
    }
    ready ${localAddress}:8181
}
.:53 {
    bind ${localAddress}
    errors
    forward . ${empty}
}
`;
    const path = join(node.folder, 'empty.corefile');
    writeFileSync(path, corefile);
    const program = start(node.command(...entry, '-conf', path, ...quietFlags));
    try {
      await eventually('the log names the file', () => (program.stdout().includes(empty) ? true : undefined));
      const dig = async (name: string): Promise<string> =>
        (await run(node.command('dig', '+tries=1', '+time=3', `@${localAddress}`, name))).stdout;
      assert.match(await dig('web.cluster.local.'), /status: NOERROR/);
      assert.match(await dig('www.outside.test.'), /status: SERVFAIL/);
    } finally {
      await program.stop();
    }
    assert.match(program.stdout(), /nameserver/);
  });
});

/** Runs the rest of the command line as root without these capabilities. */
function without(...capabilities: string[]): string[] {
  const list = capabilities.map((name) => `-${name}`).join(',');
  return ['setpriv', `--bounding-set=${list}`, `--inh-caps=${list}`];
}

/** One line on stderr, with what `about` looks for. */
function assertOneSentence(stderr: string, about: RegExp): void {
  assertNoStackTrace(stderr);
  const lines = stderr.trimEnd().split('\n');
  assert.equal(lines.length, 1, stderr);
  assert.match(lines[0], about);
}

function assertNoStackTrace(stderr: string): void {
  assert.doesNotMatch(stderr, /^\s+at .*:\d+|node:internal/m);
}
