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

const bpfCommands = { createMap: 0, lookUp: 1, update: 2, load: 5, testRun: 10, link: 28 } as const;
/** BPF_TCX_INGRESS: what an interface receives, before everything else. */
const received = 46;
/** BPF_F_BEFORE. */
const beforeOthers = 1 << 3;
/** Where a program runs: BPF_PROG_TYPE_SCHED_CLS, _SOCKET_FILTER. */
const programTypes = { 'on interfaces': 3, 'on sockets': 1 } as const;
type RunsOn = keyof typeof programTypes;
const bpfNameBytesMax = 15;
/** Behind a command's last field everything must be 0, so each call has its own. */
const attributesBytes = 152;

// Parts of the memory that the kernel reads and writes.
const inAt = 0;
const outAt = 64 * 1024;
const logAt = 128 * 1024;
const logBytes = 128 * 1024;
const memoryBytes = 256 * 1024;
const license = 'Apache-2.0';
const licenseAt = outAt - 16;

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

export class Bpf {
  readonly #calls: Pick<SystemCalls, 'bpf' | 'addressOf'>;
  readonly #bytes: Uint8Array;
  readonly #memoryAt: number;

  constructor(calls: Pick<SystemCalls, 'bpf' | 'addressOf'>) {
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

  /** Fills `value`; of a map per processor with one value for each, one behind the other. */
  lookUp(map: number, key: Uint8Array, value: Uint8Array): number {
    this.#bytes.set(key, inAt);
    const result = this.#element(bpfCommands.lookUp, map);
    if (result >= 0) value.set(this.#bytes.subarray(outAt, outAt + value.length));
    return result;
  }

  /** Loads a program, after the verifier has proved it harmless. */
  load(name: string, runs: RunsOn, instructions: Uint8Array): LoadedProgram {
    const fd = this.#loadWith(name, runs, instructions, 0);
    if (fd >= 0) return { fd, complaint: '' };
    // Once more, because the complaint costs time that the usual load need not take.
    this.#bytes.fill(0, logAt, logAt + logBytes);
    const again = this.#loadWith(name, runs, instructions, 1);
    const log = Buffer.from(this.#bytes.subarray(logAt, logAt + logBytes)).toString('latin1');
    return { fd: again, complaint: log.slice(0, log.indexOf('\0')).trim() };
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
   * which ends with its last descriptor. EINVAL before Linux 6.6.
   */
  attach(program: number, interfaceIndex: number): number {
    return this.#call(bpfCommands.link, (attributes) => {
      for (const [index, word] of [program, interfaceIndex, received, beforeOthers].entries())
        attributes.setUint32(4 * index, word, true);
    });
  }

  #loadWith(name: string, runs: RunsOn, instructions: Uint8Array, logLevel: 0 | 1): number {
    assert(instructions.length <= licenseAt, 'there is room for the program');
    this.#bytes.set(instructions, inAt);
    this.#bytes.set(Buffer.from(`${license}\0`), licenseAt);
    return this.#call(bpfCommands.load, (attributes) => {
      attributes.setUint32(0, programTypes[runs], true);
      attributes.setUint32(4, instructions.length / 8, true);
      attributes.setBigUint64(8, this.#address(inAt), true);
      attributes.setBigUint64(16, this.#address(licenseAt), true);
      writeName(attributes, 48, name);
      if (logLevel === 0) return;
      attributes.setUint32(24, logLevel, true);
      attributes.setUint32(28, logBytes, true);
      attributes.setBigUint64(32, this.#address(logAt), true);
    });
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

  #address(at: number): bigint {
    return BigInt(this.#memoryAt + at);
  }
}

function writeName(attributes: DataView, at: number, name: string): void {
  assert(name.length <= bpfNameBytesMax, 'a name has at most 15 bytes');
  for (let index = 0; index < name.length; index++) attributes.setUint8(at + index, name.charCodeAt(index));
}
