import assert from 'node:assert/strict';
import { test } from 'node:test';
import { anyResponsible, isResponsible, responsibility } from '../../src/upstream/zone-match.js';
import { question } from './scripted.js';

function isFor(names: { from: string; except?: string[] }, name: string): boolean {
  const asked = question(name);
  return isResponsible(responsibility({ except: [], ...names }), asked, asked.length - 4);
}

test('the root is for every name', () => {
  assert(isFor({ from: '.' }, ''));
  assert(isFor({ from: '.' }, 'a.b.c'));
});

test('a zone is for itself and what is below it, by whole labels, in any case', () => {
  assert(isFor({ from: 'cluster.local.' }, 'cluster.local'));
  assert(isFor({ from: 'cluster.local.' }, 'A.b.CLUSTER.Local'));
  assert(!isFor({ from: 'cluster.local.' }, 'mycluster.local'));
  assert(!isFor({ from: 'cluster.local.' }, 'local'));
  assert(!isFor({ from: 'cluster.local.' }, ''));
  assert(!isFor({ from: 'cluster.local.' }, 'cluster.local.org'));
});

test('a name whose label holds the bytes of the zone is not in it', () => {
  const zone = responsibility({ from: 'b.', except: [] });
  const name = Buffer.from('\x04a\x01b\x00\x00\x00\x01\x00\x01', 'latin1');
  assert.equal(isResponsible(zone, name, name.length - 4), false);
});

test('excepted names and those below them are for somebody else, but not the zone itself', () => {
  const names = { from: 'example.', except: ['intern.example.', 'x.example.', 'example.'] };
  assert(!isFor({ ...names, except: names.except.slice(0, 2) }, 'a.Intern.example'));
  assert(!isFor({ ...names, except: names.except.slice(0, 2) }, 'x.example'));
  assert(isFor({ ...names, except: names.except.slice(0, 2) }, 'xx.example'));
  assert(isFor(names, 'example'));
  assert(!isFor(names, 'a.example'));
});

test('a name is somebody’s when one of several is responsible for it', () => {
  const isTaken = anyResponsible(['a.', 'b.'].map((from) => responsibility({ from, except: [] })));
  const question = (label: string) => Buffer.from(`\x01x\x01${label}\x00\x00\x01\x00\x01`, 'latin1');
  assert.deepEqual(
    ['a', 'B', 'c'].map((label) => isTaken(question(label))),
    [true, true, false],
  );
});
