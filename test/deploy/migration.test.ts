/** The diffs of docs/MIGRATION.md, applied to a DaemonSet as clusters have it for node-cache: there, and back again. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { parse, stringify } from 'yaml';
import { parseFlags } from '../../src/config/flags.js';
import { programVersion } from '../../src/config/version.js';
import { repositoryPath } from '../corpus/repository.js';
import { page } from '../docs/pages.js';
import { type DaemonSet, daemonSet, objectsIn, unknownFields, validate } from './kubernetes.js';

const nodeCache = daemonSet(objectsIn(readFileSync(repositoryPath('test', 'kubernetes', 'node-cache.yaml'), 'utf8')));
/** As `kubectl get -o yaml` writes it. */
const before = stringify(nodeCache, { indentSeq: false, lineWidth: 0 });

const [image, ...rest] = [...page('docs/MIGRATION.md').matchAll(/^```diff\n([\s\S]*?)^```$/gm)].map(([, text]) => text);
const [forth, back] = [rest.slice(0, rest.length / 2), rest.slice(rest.length / 2)];

test('the image alone', () => {
  const after = applied(before, image);
  const [gone, come] = changedLines(before, after);
  assert.equal(gone, 'image: k8s-dns-node-cache:1.26.4');
  assert.match(come, new RegExp(`^image: registry\\.example\\.org/zerohop:${programVersion()}$`));
});

test('updates without a gap, and back', () => {
  assert(forth.length > 1);
  assert.equal(forth.length, back.length);
  const after = forth.reduce(applied, applied(before, image));
  const set = parse(after) as DaemonSet;
  validate([set]);
  assert.equal(unknownFields([set]), '');
  assert.deepEqual(set.spec.updateStrategy.rollingUpdate, { maxSurge: 1, maxUnavailable: 0 });
  const { containers, volumes } = set.spec.template.spec;
  assert.equal(containers[0].ports, undefined);
  const names = containers[0].volumeMounts.map(({ name }) => name);
  assert.deepEqual(names.sort(), volumes.map(({ name }) => name).sort());
  assert.equal(back.reduce(applied, after), applied(before, image));
});

test('node-cache’s arguments are understood', () => {
  const { args } = nodeCache.spec.template.spec.containers[0];
  const command = parseFlags(args, { KUBE_DNS_UPSTREAM_SERVICE_HOST: '10.96.7.7' });
  assert(command.kind === 'serve');
  const { localAddresses, corefilePath, pidFilePath, clusterDns } = command.options;
  assert.deepEqual(localAddresses, ['169.254.20.10', '10.96.0.10']);
  assert.deepEqual([corefilePath, pidFilePath], ['/etc/Corefile', '/tmp/node-cache.pid']);
  assert.equal(clusterDns.endpoint?.address, '10.96.7.7');
});

/** The text with this hunk in it; throws where the hunk's context is not, or is more than once. */
function applied(text: string, hunk: string): string {
  const lines = hunk.trimEnd().split('\n');
  const side = (sign: string) =>
    lines
      .filter((line) => line.startsWith(' ') || line.startsWith(sign))
      .map((line) => `${line.slice(1)}\n`)
      .join('');
  const parts = text.split(side('-'));
  assert.equal(parts.length, 2, `this is ${parts.length - 1} times in\n${text}:\n${side('-')}`);
  return parts.join(side('+'));
}

function changedLines(left: string, right: string): string[] {
  const [gone, come] = [left, right].map((text) => text.split('\n').map((line) => line.trim()));
  return [...gone.filter((line) => !come.includes(line)), ...come.filter((line) => !gone.includes(line))];
}
