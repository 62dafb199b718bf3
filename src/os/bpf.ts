/**
 * Maps and programs of the kernel's BPF machine, by bpf(2). Everything returns what the call does: a descriptor or 0, or
 * the negative errno. Names, as bpftool shows them, have at most 15 bytes.
 */
import { assert } from '../limits.js';
import type { SystemCalls } from './system-calls.js';

/** Of which a map is made. `shared`: a client's memory may show it (mmap). */
export interface MapForm {
  readonly name: string;
  readonly type: 'array' | 'array per processor' | 'recent';
  readonly keyBytes: number;
  readonly valueBytes: number;
  readonly entries: number;
  readonly isShared: boolean;
}

/** BPF_MAP_TYPE_ARRAY, _PERCPU_ARRAY, _LRU_HASH. */
const mapTypes = { array: 2, 'array per processor': 6, recent: 9 } as const satisfies Record<MapForm['type'], number>;
const mapIsShared = 1 << 10;

const bpfCommands = {
  createMap: 0,
  lookUp: 1,
  update: 2,
  remove: 3,
  nextKey: 4,
  load: 5,
  pin: 6,
  openPin: 7,
  testRun: 10,
  query: 16,
  link: 28,
  replaceProgram: 29,
} as const;
/** BPF_TCX_INGRESS: what an interface receives, before everything else. */
const received = 46;
/** BPF_F_BEFORE. */
const beforeOthers = 1 << 3;
/** Where a program runs: BPF_PROG_TYPE_SCHED_CLS, _SOCKET_FILTER. */
const programTypes = { 'on interfaces': 3, 'on sockets': 1 } as const;
type RunsOn = keyof typeof programTypes;
const bpfNameBytesMax = 15;
const pathBytesMax = 4096;
/** Behind a command's last field everything must be 0, so each call has its own. */
const attributesBytes = 152;

// Parts of the memory that the kernel reads and writes.
const inAt = 0;
const outAt = 64 * 1024;
const logAt = 128 * 1024;
const logBytes = 128 * 1024;
const memoryBytes = 256 * 1024;
const license = 'Apache-2.0';

interface LoadedProgram {
  /** The program's descriptor, or the negative errno. */
  readonly fd: number;
  /** What the verifier says against it; its last lines tell why. */
  readonly complaint: string;
}

interface TestRun {
  /** The program's result, or null when the call failed. */
  readonly verdict: number | null;
  readonly packet: Uint8Array;
  readonly nanoseconds: number;
}

type BpfCalls = Pick<SystemCalls, 'bpf' | 'bpfLater' | 'addressOf'>;

export class Bpf {
  readonly #calls: BpfCalls;
  readonly #bytes: Uint8Array;
  readonly #memoryAt: number;

  constructor(calls: BpfCalls) {
    this.#calls = calls;
    const memory = new ArrayBuffer(memoryBytes);
    this.#bytes = new Uint8Array(memory);
    this.#memoryAt = calls.addressOf(memory);
  }

  createMap({ name, type, keyBytes, valueBytes, entries, isShared }: MapForm): number {
    const flags = isShared ? mapIsShared : 0;
    return this.#call(bpfCommands.createMap, (attributes) => {
      for (const [index, word] of [mapTypes[type], keyBytes, valueBytes, entries, flags].entries())
        attributes.setUint32(4 * index, word, true);
      writeName(attributes, 28, name);
    });
  }

  update(map: number, key: Uint8Array, value: Uint8Array): number {
    this.#bytes.set(key, inAt);
    this.#bytes.set(value, outAt);
    return this.#element(bpfCommands.update, map);
  }

  /** Fills `value`; of a map per processor with one value for each, one behind the other, and zeros behind them. */
  lookUp(map: number, key: Uint8Array, value: Uint8Array): number {
    this.#bytes.set(key, inAt);
    this.#bytes.fill(0, outAt, outAt + value.length);
    const result = this.#element(bpfCommands.lookUp, map);
    if (result >= 0) value.set(this.#bytes.subarray(outAt, outAt + value.length));
    return result;
  }

  /** Removes the element of a map that is no array. */
  remove(map: number, key: Uint8Array): number {
    this.#bytes.set(key, inAt);
    return this.#element(bpfCommands.remove, map);
  }

  /** The keys of a map that is no array, of 4 bytes each, at most so many; it may change meanwhile. */
  numberKeys(map: number, max: number): number[] {
    const keys: number[] = [];
    const view = new DataView(this.#bytes.buffer, outAt, 4);
    let key: Uint8Array | null = null;
    while (keys.length < max) {
      if (key !== null) this.#bytes.set(key, inAt);
      const isFirst = key === null;
      const result = this.#call(bpfCommands.nextKey, (attributes) => {
        attributes.setUint32(0, map, true);
        attributes.setBigUint64(8, isFirst ? 0n : this.#address(inAt), true);
        attributes.setBigUint64(16, this.#address(outAt), true);
      });
      if (result < 0) break;
      keys.push(view.getUint32(0, true));
      key = this.#bytes.slice(outAt, outAt + 4);
    }
    return keys;
  }

  /** Keeps a map, program or link alive under this path of a bpf file system, whether or not a process has it open. */
  pin(fd: number, path: string): number {
    return this.#call(bpfCommands.pin, (attributes) => {
      attributes.setBigUint64(0, this.#pathAddress(path), true);
      attributes.setUint32(8, fd, true);
    });
  }

  /** A descriptor of what is pinned there. */
  openPin(path: string): number {
    return this.#call(bpfCommands.openPin, (attributes) => attributes.setBigUint64(0, this.#pathAddress(path), true));
  }

  /** How many programs see what the interface receives, or the negative errno: EINVAL before Linux 6.6. */
  attachedTo(interfaceIndex: number): number {
    let count = 0;
    const result = this.#call(
      bpfCommands.query,
      (attributes) => {
        attributes.setUint32(0, interfaceIndex, true);
        attributes.setUint32(4, received, true);
      },
      (attributes) => {
        count = attributes.getUint32(24, true);
      },
    );
    return result < 0 ? result : count;
  }

  /** The link's program from now on, without a packet that meets neither; beside this thread, as `attach`. */
  replaceProgram(link: number, program: number): Promise<number> {
    return this.#calls.bpfLater(bpfCommands.replaceProgram, numbersIn([link, program]));
  }

  /** Loads a program, after the verifier has proved it harmless: tens of milliseconds, beside this thread. */
  async load(name: string, runs: RunsOn, instructions: Uint8Array): Promise<LoadedProgram> {
    const fd = await this.#calls.bpfLater(bpfCommands.load, this.#loadAttributes(name, runs, instructions));
    if (fd >= 0) return { fd, complaint: '' };
    // Once more, because the complaint costs time that the usual load need not take.
    this.#bytes.fill(0, logAt, logAt + logBytes);
    const attributes = this.#loadAttributes(name, runs, instructions);
    attributes.setUint32(24, 1, true);
    attributes.setUint32(28, logBytes, true);
    attributes.setBigUint64(32, this.#address(logAt), true);
    this.#calls.bpf(bpfCommands.load, attributes);
    const log = Buffer.from(this.#bytes.subarray(logAt, logAt + logBytes)).toString('latin1');
    return { fd, complaint: log.slice(0, log.indexOf('\0')).trim() };
  }

  /** Runs the program with a packet that nobody has received, on the interface `lo`. */
  run(program: number, packet: Uint8Array): TestRun {
    this.#bytes.set(packet, inAt);
    let verdict = 0;
    let bytes = 0;
    let nanoseconds = 0;
    const result = this.#call(
      bpfCommands.testRun,
      (attributes) => {
        attributes.setUint32(0, program, true);
        attributes.setUint32(8, packet.length, true);
        attributes.setUint32(12, logAt - outAt, true);
        attributes.setBigUint64(16, this.#address(inAt), true);
        attributes.setBigUint64(24, this.#address(outAt), true);
        attributes.setUint32(32, 1, true);
      },
      (attributes) => {
        verdict = attributes.getInt32(4, true);
        bytes = attributes.getUint32(12, true);
        nanoseconds = attributes.getUint32(36, true);
      },
    );
    return {
      verdict: result < 0 ? null : verdict,
      packet: this.#bytes.slice(outAt, outAt + bytes),
      nanoseconds,
    };
  }

  /**
   * Lets the program see what the interface receives, before other programs and everything else; the descriptor of a link,
   * which ends with its last descriptor. EINVAL before Linux 6.6. Beside this thread: the kernel waits for locks of the
   * network, some 9 ms.
   */
  attach(program: number, interfaceIndex: number): Promise<number> {
    return this.#calls.bpfLater(bpfCommands.link, numbersIn([program, interfaceIndex, received, beforeOthers]));
  }

  /** The instructions are in memory of their own, because other calls are made meanwhile. */
  #loadAttributes(name: string, runs: RunsOn, instructions: Uint8Array): DataView {
    const memory = new Uint8Array(new ArrayBuffer(instructions.length + license.length + 1));
    memory.set(instructions);
    memory.set(Buffer.from(license), instructions.length);
    const at = BigInt(this.#calls.addressOf(memory.buffer));
    const attributes = new DataView(new ArrayBuffer(attributesBytes));
    attributes.setUint32(0, programTypes[runs], true);
    attributes.setUint32(4, instructions.length / 8, true);
    attributes.setBigUint64(8, at, true);
    attributes.setBigUint64(16, at + BigInt(instructions.length), true);
    writeName(attributes, 48, name);
    return attributes;
  }

  #element(command: number, map: number): number {
    return this.#call(command, (attributes) => {
      attributes.setUint32(0, map, true);
      attributes.setBigUint64(8, this.#address(inAt), true);
      attributes.setBigUint64(16, this.#address(outAt), true);
    });
  }

  #call(command: number, write: (attributes: DataView) => void, read = (_: DataView): void => {}): number {
    const attributes = new DataView(new ArrayBuffer(attributesBytes));
    write(attributes);
    const result = this.#calls.bpf(command, attributes);
    read(attributes);
    return result;
  }

  /** Of the path as the kernel reads it, in our memory. */
  #pathAddress(path: string): bigint {
    const bytes = Buffer.from(`${path}\0`);
    assert(bytes.length <= pathBytesMax, 'a path is short');
    this.#bytes.set(bytes, inAt);
    return this.#address(inAt);
  }

  #address(at: number): bigint {
    return BigInt(this.#memoryAt + at);
  }
}

/** Attributes that begin with these numbers of 32 bits. */
function numbersIn(numbers: readonly number[]): DataView {
  const attributes = new DataView(new ArrayBuffer(attributesBytes));
  for (const [index, number] of numbers.entries()) attributes.setUint32(4 * index, number, true);
  return attributes;
}

function writeName(attributes: DataView, at: number, name: string): void {
  assert(name.length <= bpfNameBytesMax, 'a name has at most 15 bytes');
  for (let index = 0; index < name.length; index++) attributes.setUint8(at + index, name.charCodeAt(index));
}
