import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { newReadiness } from '../../src/observe/readiness.js';

const conditions = ['listeners', 'rules', 'upstream'];

describe('readiness', () => {
  it('lists what is missing until nothing is', () => {
    const readiness = newReadiness(conditions, 'until-ready');
    assert.deepEqual(readiness.answer(), { status: 503, body: 'listeners,rules,upstream' });
    readiness.met('upstream');
    readiness.met('listeners');
    assert.deepEqual(readiness.missing, ['rules']);
    assert.equal(readiness.ready, false);
    assert.deepEqual(readiness.answer(), { status: 503, body: 'rules' });
    readiness.met('rules');
    assert.equal(readiness.ready, true);
    assert.deepEqual(readiness.answer(), { status: 200, body: 'OK' });
  });

  it('keeps what was met once with until-ready', () => {
    const readiness = newReadiness(conditions, 'until-ready');
    readiness.met('rules');
    readiness.lost('rules');
    assert.deepEqual(readiness.missing, ['listeners', 'upstream']);
  });

  it('follows every change with continuously', () => {
    const readiness = newReadiness(conditions, 'continuously');
    for (const condition of conditions) readiness.met(condition);
    readiness.lost('upstream');
    readiness.lost('listeners');
    assert.deepEqual(readiness.answer(), { status: 503, body: 'listeners,upstream' });
    readiness.met('upstream');
    readiness.met('listeners');
    assert.equal(readiness.ready, true);
  });

  it('is over once it is stopping, whatever is met after that', () => {
    const readiness = newReadiness(conditions, 'continuously');
    readiness.stopping();
    for (const condition of conditions) readiness.met(condition);
    assert.equal(readiness.ready, false);
    assert.deepEqual(readiness.answer(), { status: 503, body: 'shutting down' });
  });

  it('is ready at once when nothing is asked for', () => {
    assert.equal(newReadiness([], 'until-ready').ready, true);
  });

  it('takes an unknown condition for the bug it is', () => {
    const readiness = newReadiness(conditions, 'continuously');
    assert.throws(() => readiness.met('listener'), /"listener" is not a condition/);
    assert.throws(() => readiness.lost('listener'), /"listener" is not a condition/);
  });
});
