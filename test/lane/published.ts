/** A cache and what is published of it, in memory that the program runs over in the machine of the tests. */

import { type Keep, kindDenial, kindSuccess } from '../../src/cache/blocks.js';
import { Cache } from '../../src/cache/cache.js';
import { FirstHits } from '../../src/cache/first-hits.js';
import { configValue, nanoseconds } from '../../src/lane/elements.js';
import {
  bucketBytes,
  bucketsCount,
  laneCauses,
  laneSlotBytes,
  markLayout,
  scratchBytes,
} from '../../src/lane/layout.js';
import { laneProgram } from '../../src/lane/program.js';
import { Publisher } from '../../src/lane/publisher.js';
import { LaneRefreshes } from '../../src/lane/refreshes.js';
import { LaneRounds } from '../../src/lane/rounds.js';
import { Slots } from '../../src/lane/slots.js';
import type { LaneMap } from '../../src/lane/text.js';
import { laneAdmissionMs, laneHeartbeatMs, laneSlots } from '../../src/limits.js';
import type { ServedZone } from '../../src/resolve/zones.js';
import { answerFor } from '../cache/answers.js';

import { type Fixture, fixture } from '../resolve/context-fixture.js';
import { ManualClock } from '../simulation/clock.js';
import { type MachineMap, type Ran, runProgram } from './machine.js';
import { descriptorOf, frameOf, messageIn, ours, seed } from './world.js';

const { instructions } = laneProgram('peer', descriptorOf);
const interfaceIndex = 1;

export interface LaneMemory {
  readonly slots: ArrayBuffer;
  readonly index: ArrayBuffer;
  readonly marks: ArrayBuffer;
}

export function laneMemory(): LaneMemory {
  return {
    slots: new ArrayBuffer(laneSlots * laneSlotBytes),
    index: new ArrayBuffer(bucketsCount * bucketBytes),
    marks: new ArrayBuffer(laneSlots * markLayout.bytes),
  };
}

export class PublishedWorld {
  readonly clock = new ManualClock();
  readonly memory: LaneMemory;
  readonly slots: Slots;
  readonly publisher: Publisher;
  readonly refreshes: LaneRefreshes;
  readonly rounds: LaneRounds;
  readonly firstHits = new FirstHits();
  readonly cache: Cache;
  readonly spine: Fixture;
  readonly store: ReturnType<Cache['newStore']>;
  /** Questions that the kernel answers often, and how often in a round. */
  readonly given: [string, number][] = [];
  /** What is asked upstream: name and type as in `given`, the key behind it. */
  readonly asked: string[] = [];
  /** What becomes of it. */
  upstream: (question: Uint8Array) => boolean = () => true;
  generation = 1;
  /** When user space was there last; the lane's clock is `clock`. */
  heartbeatMs: number | null = null;

  constructor(corefile: string, memory = laneMemory()) {
    this.memory = memory;
    this.spine = fixture(corefile);
    // With the events that keep the lane true, as the program wires them.
    this.cache = new Cache(this.spine.cache.blocks, undefined, undefined, {
      left: (ref) => this.publisher.takeOut(ref, this.clock.nowMs()),
      kept: (ref) => {
        if (this.publisher.continues(ref)) this.publisher.publish(ref, this.clock.nowMs());
      },
    });
    this.store = this.cache.newStore({ successEntriesMax: 20_000, denialEntriesMax: 20_000 });
    this.cache.blocks.firstHits = this.firstHits;
    this.slots = new Slots(memory, seed);
    this.publisher = new Publisher(this.cache.blocks, this.slots);
    this.publisher.follow([this.spine.listener.table], this.generation);
    const { clock, cache, firstHits, slots, publisher } = this;
    const { counters } = this.spine.context;
    const given = (question: Uint8Array, answers: number): void => {
      this.given.push([textOf(question), answers]);
    };
    const ask = (_zone: ServedZone, question: Uint8Array, key: number): boolean => {
      this.asked.push(`${textOf(question.subarray(0, -2))} ${key}`);
      return this.upstream(question);
    };
    this.refreshes = new LaneRefreshes({ clock, cache, counters, slots, publisher, ask });
    const { refreshes } = this;
    this.rounds = new LaneRounds({ clock, cache, firstHits, counters, slots, publisher, refreshes, given });
  }

  /** Caches an answer of so many addresses, or a denial; its reference. */
  keep(
    name: string,
    { denied = false, records = 1, ...changes }: Partial<Keep> & { denied?: boolean; records?: number } = {},
  ): number {
    const answer = answerFor(name, { records: denied ? 0 : records });
    const message = Uint8Array.from(answer.message);
    if (denied) message[3] |= 3;
    const zoneId = this.spine.zone('.').zoneId;
    const kind = denied ? kindDenial : kindSuccess;
    return this.cache.keep(
      this.store,
      { ...answer, message, kind, zoneId, key: 0, lifetimeMs: 30_000, ...changes },
      this.clock.nowMs(),
    );
  }

  /** Asks the spine, as a packet that reached the process. */
  ask(packet: Uint8Array): Buffer | null | 'handed over' {
    return this.spine.ask(Uint8Array.from(packet), this.clock.nowMs());
  }

  /** What the kernel answers, or null. */
  askKernel(packet: Uint8Array): Buffer | null {
    const frame = frameOf(packet);
    const ran = this.run(frame);
    return ran.verdict === 7 ? messageIn(ran.packet, frame) : null;
  }

  run(frame: Uint8Array): Ran {
    return runProgram(instructions, frame, {
      maps: this.#maps(),
      nowNs: nanoseconds(this.clock.nowMs()),
      interfaceIndex,
    });
  }

  /** A round of the lane, with what it does in the turns after it. */
  async round(): Promise<void> {
    this.rounds.round(this.clock.nowMs());
    for (let turn = 0; turn < 400; turn++) await this.clock.pass(0);
  }

  /** As the lane does: a look five times a second, a round each second, and `each` before them. */
  async passSeconds(seconds: number, each: () => void = () => {}): Promise<void> {
    for (let look = 1; look <= (seconds * 1_000) / laneHeartbeatMs; look++) {
      this.clock.passMs(laneHeartbeatMs);
      each();
      this.refreshes.look(this.clock.nowMs());
      if ((look * laneHeartbeatMs) % 1_000 === 0) await this.round();
      else await this.clock.pass(0);
    }
  }

  #maps(): ReadonlyMap<number, MachineMap> {
    const { slots, index, marks } = this.memory;
    const config = configValue({
      heartbeatNs: nanoseconds(this.heartbeatMs ?? this.clock.nowMs()),
      deadAfterNs: nanoseconds(3_000),
      inertFromNs: nanoseconds(1e12),
      seed,
      generation: this.generation,
      digest: 0n,
      places: [ours],
    });
    const client = new Uint8Array(16);
    new DataView(client.buffer).setBigUint64(0, nanoseconds(this.clock.nowMs() + laneAdmissionMs), true);
    const array = (memory: ArrayBuffer, bytes: number) => (key: Uint8Array) => {
      const place = new DataView(key.buffer, key.byteOffset).getUint32(0, true) * bytes;
      return place + bytes <= memory.byteLength ? new Uint8Array(memory, place, bytes) : null;
    };
    const found: Readonly<Record<LaneMap, (key: Uint8Array) => Uint8Array | null>> = {
      config: () => config,
      scratch: array(new ArrayBuffer(scratchBytes), scratchBytes),
      index: array(index, bucketBytes),
      slots: array(slots, laneSlotBytes),
      marks: array(marks, markLayout.bytes),
      clients: () => client,
      interfaces: () => null,
      passed: array(new ArrayBuffer(8 * laneCauses.length), 8),
    };
    return new Map(Object.entries(found).map(([name, find]) => [descriptorOf(name as LaneMap), { name, find }]));
  }
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('latin1');
}
