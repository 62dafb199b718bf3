import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { wireToName } from '../../src/dns/names.js';
import { LoopWatch, typeHinfo } from '../../src/resolve/loop.js';
import { seededRandom } from '../simulation/random.js';

function packetFor(question: Uint8Array): Uint8Array {
  const packet = new Uint8Array(12 + question.length);
  packet.set(question, 12);
  return packet;
}

describe('LoopWatch', () => {
  it('asks for a name below the zone that changes every time', () => {
    const loops = new LoopWatch();
    const random = seededRandom(1);
    const names = [1, 2].map(() =>
      wireToName(loops.newProbe({ block: 0, zone: 'cluster.local.' }, random, () => {}).question, 0),
    );
    assert.match(names[0], /^\d+\.\d+\.cluster\.local\.$/u);
    assert.notEqual(names[0], names[1]);
    const { question } = loops.newProbe({ block: 0, zone: '.' }, random, () => {});
    assert.match(wireToName(question, 0), /^\d+\.\d+\.$/u);
    assert.equal(question[question.length - 3], typeHinfo);
  });

  it('tells once when its question comes back, in whatever case', () => {
    const loops = new LoopWatch();
    let found = 0;
    const { question } = loops.newProbe({ block: 1, zone: 'a.test.' }, seededRandom(1), () => found++);
    const packet = packetFor(question);
    const shouted = packet.map((byte) => (byte >= 97 && byte <= 122 ? byte - 32 : byte));
    assert.equal(loops.seen(shouted, shouted.length, 1), true);
    assert.equal(loops.seen(packet, packet.length, 1), false);
    assert.equal(found, 1);
  });

  it('lets it pass another block, which may send it on', () => {
    const loops = new LoopWatch();
    let found = 0;
    const { question } = loops.newProbe({ block: 1, zone: '.' }, seededRandom(1), () => found++);
    const packet = packetFor(question);
    assert.deepEqual(
      [loops.seen(packet, packet.length, 0), loops.seen(packet, packet.length, 2), found],
      [false, false, 0],
    );
    assert.deepEqual([loops.seen(packet, packet.length, 1), found], [true, 1]);
  });

  it('does not take other questions for its own, nor one it has forgotten', () => {
    const loops = new LoopWatch();
    const probe = loops.newProbe({ block: 1, zone: 'a.test.' }, seededRandom(1), () => assert.fail());
    const other = packetFor(probe.question);
    other[13] ^= 1;
    assert.equal(loops.seen(other, other.length, 1), false);
    loops.forget(probe);
    const packet = packetFor(probe.question);
    assert.equal(loops.seen(packet, packet.length, 1), false);
  });
});
