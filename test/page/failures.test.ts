import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { nameToWire } from '../../src/dns/names.js';
import { pageFailuresMax, pageFailuresPerSecondMax, pageReasonCharactersMax } from '../../src/limits.js';
import { RecentFailures } from '../../src/page/failures.js';
import { ManualClock } from '../simulation/clock.js';

function questionOf(name: string): Uint8Array {
  return Uint8Array.of(...nameToWire(name), 0, 28, 0, 1);
}

function newFailures() {
  const clock = new ManualClock();
  return { clock, failures: new RecentFailures(clock) };
}

describe('recent failures', () => {
  it('are shown with name, type, answer and reason, the latest first', () => {
    const { clock, failures } = newFailures();
    failures.note(questionOf('a.example.'), 2, 'i/o timeout');
    clock.passMs(1_000);
    failures.note(questionOf('b.example.'), 5, 'overloaded');
    assert.deepEqual(failures.shown(), [
      { atMs: clock.wallMs(), count: 1, name: 'b.example.', type: 'AAAA', rcode: 'REFUSED', reason: 'overloaded' },
      {
        atMs: clock.wallMs() - 1_000,
        count: 1,
        name: 'a.example.',
        type: 'AAAA',
        rcode: 'SERVFAIL',
        reason: 'i/o timeout',
      },
    ]);
  });

  it('of one name with one reason are one, which has happened again', () => {
    const { clock, failures } = newFailures();
    failures.note(questionOf('a.example.'), 2, 'i/o timeout');
    failures.note(questionOf('b.example.'), 2, 'i/o timeout');
    clock.passMs(500);
    failures.note(questionOf('a.example.'), 2, 'i/o timeout');
    failures.note(questionOf('a.example.'), 2, 'refused');
    assert.deepEqual(
      failures.shown().map(({ name, count, reason }) => [name, count, reason]),
      [
        ['a.example.', 1, 'refused'],
        ['a.example.', 2, 'i/o timeout'],
        ['b.example.', 1, 'i/o timeout'],
      ],
    );
  });

  it('are bounded in number, in length and in each second', () => {
    const { clock, failures } = newFailures();
    for (let index = 0; index < pageFailuresPerSecondMax + 7; index++) {
      failures.note(questionOf(`${index}.example.`), 2, 'x'.repeat(10_000));
    }
    assert.deepEqual([failures.shown().length, failures.unnoted], [pageFailuresMax, 7]);
    assert.equal(failures.shown()[0].reason.length, pageReasonCharactersMax);
    clock.passMs(1_000);
    failures.note(questionOf('later.example.'), 2, 'x');
    assert.equal(failures.shown()[0].name, 'later.example.');
  });

  it('have names from packets in the presentation format', () => {
    const { failures } = newFailures();
    const label = Buffer.from('<b>\u001b[31m.\u0000', 'latin1');
    failures.note(Uint8Array.of(label.length, ...label, 0, 0, 1, 0, 1), 2, '<i>why</i>');
    const [{ name, type, reason }] = failures.shown();
    assert.deepEqual([name, type, reason], ['<b>\\027[31m\\.\\000.', 'A', '<i>why</i>']);
  });
});
