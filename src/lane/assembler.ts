/**
 * An assembler for the kernel's BPF machine (RFC 9669): eleven 64-bit registers, labels, maps by name. It knows the
 * instructions that `program.ts` needs, all of the first version of the set, so that every kernel with tcx links takes
 * them. Numbers of instructions are kept with the labels before them, because the verifier complains by number.
 */
import { assert } from '../limits.js';

export type Register = 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 | 10;

/** A register or a constant: 32 bits, of which the sign is extended. */
export type BpfOperand = { readonly register: Register } | number;

/** Bytes of a load or store. */
export type Width = 1 | 2 | 4 | 8;

/** As the kernel counts instructions: a 64-bit constant is two. */
export const bpfInstructionBytes = 8;

const widthCodes = { 1: 0x10, 2: 0x08, 4: 0x00, 8: 0x18 } as const satisfies Record<Width, number>;

const classLoadConstant = 0x00;
const classLoad = 0x01;
const classStoreConstant = 0x02;
const classStore = 0x03;
const classArithmetic32 = 0x04;
const classJump = 0x05;
const classArithmetic = 0x07;
const modeMemory = 0x60;
const modeAtomic = 0xc0;
const fromRegister = 0x08;
/** In the source's place of a 64-bit constant: it is the descriptor of a map. */
const sourceMap = 1;

const operationCodes = {
  add: 0x00,
  subtract: 0x10,
  multiply: 0x20,
  divide: 0x30,
  or: 0x40,
  and: 0x50,
  shiftLeft: 0x60,
  shiftRight: 0x70,
  xor: 0xa0,
  set: 0xb0,
} as const;

const jumpCodes = {
  always: 0x00,
  equal: 0x10,
  above: 0x20,
  notBelow: 0x30,
  anyBit: 0x40,
  notEqual: 0x50,
  below: 0xa0,
  notAbove: 0xb0,
} as const;

const jumpCall = 0x80;
const jumpExit = 0x90;
const toBigEndian = 0xd0 | fromRegister;

type Operation = keyof typeof operationCodes;
export type Condition = Exclude<keyof typeof jumpCodes, 'always'>;

interface BpfInstruction {
  readonly code: number;
  readonly destination: number;
  readonly source: number;
  readonly offset: number;
  readonly value: number;
  /** Where it jumps. */
  readonly label: string | null;
  /** The map whose descriptor is its value. */
  readonly map: string | null;
}

const blank: Omit<BpfInstruction, 'code'> = { destination: 0, source: 0, offset: 0, value: 0, label: null, map: null };

export interface Assembled {
  readonly instructions: Uint8Array;
  /** Number of the instruction behind each label, in order. */
  readonly labels: ReadonlyMap<string, number>;
}

export class Assembler<MapName extends string> {
  readonly #instructions: BpfInstruction[] = [];
  readonly #labels = new Map<string, number>();

  label(name: string): void {
    assert(!this.#labels.has(name), 'a label is at one place');
    this.#labels.set(name, this.#instructions.length);
  }

  /** All 64 bits of `to`; an unsigned constant has at most 31. */
  do(operation: Operation, to: Register, by: BpfOperand): void {
    this.#add(classArithmetic | operationCodes[operation], to, by);
  }

  /** The lower 32 bits of `to`; the upper ones become 0. */
  do32(operation: Operation, to: Register, by: BpfOperand): void {
    this.#add(classArithmetic32 | operationCodes[operation], to, by);
  }

  /** A constant of 64 bits. */
  constant(to: Register, value: bigint): void {
    this.#wide(to, 0, Number(BigInt.asIntN(32, value)), Number(BigInt.asIntN(32, value >> 32n)));
  }

  /** The lower bits of a register from this machine's order, which is little-endian, to the network's, or back. */
  swap(register: Register, bits: 16 | 32): void {
    this.#put({ code: classArithmetic32 | toBigEndian, destination: register, value: bits });
  }

  load(to: Register, width: Width, from: Register, offset: number): void {
    const code = classLoad | modeMemory | widthCodes[width];
    this.#put({ code, destination: to, source: from, offset: short(offset) });
  }

  store(width: Width, to: Register, offset: number, what: BpfOperand): void {
    const place = { destination: to, offset: short(offset) };
    const mode = modeMemory | widthCodes[width];
    if (typeof what === 'number') this.#put({ code: classStoreConstant | mode, value: what, ...place });
    else this.#put({ code: classStore | mode, source: what.register, ...place });
  }

  /** Adds a register to 32 bits in memory, whatever other processors do there. */
  addAtomically(to: Register, offset: number, what: Register): void {
    const code = classStore | modeAtomic | widthCodes[4];
    this.#put({ code, destination: to, source: what, offset: short(offset), value: operationCodes.add });
  }

  /** Compares without signs. */
  if(register: Register, condition: Condition, other: BpfOperand, label: string): void {
    this.#add(classJump | jumpCodes[condition], register, other, label);
  }

  goTo(label: string): void {
    this.#put({ code: classJump | jumpCodes.always, label });
  }

  /** The address of a map, for helpers. */
  map(to: Register, map: MapName): void {
    this.#wide(to, sourceMap, 0, 0, map);
  }

  /** Calls the helper with this number: arguments in registers 1 to 5, which are lost, the result in 0. */
  call(helper: number): void {
    this.#put({ code: classJump | jumpCall, value: helper });
  }

  /** Ends with the result in register 0. */
  exit(): void {
    this.#put({ code: classJump | jumpExit });
  }

  /** The program over maps with these descriptors. */
  assembled(descriptorOf: (map: MapName) => number): Assembled {
    const bytes = new Uint8Array(this.#instructions.length * bpfInstructionBytes);
    const view = new DataView(bytes.buffer);
    for (const [number, one] of this.#instructions.entries()) {
      const at = number * bpfInstructionBytes;
      view.setUint8(at, one.code);
      view.setUint8(at + 1, (one.source << 4) | one.destination);
      view.setInt16(at + 2, one.label === null ? one.offset : this.#distance(number, one.label), true);
      view.setInt32(at + 4, one.map === null ? one.value : descriptorOf(one.map as MapName), true);
    }
    return { instructions: bytes, labels: this.#labels };
  }

  #distance(from: number, label: string): number {
    const to = this.#labels.get(label);
    assert(to !== undefined, 'a jump has a label to go to');
    return short(to - from - 1);
  }

  #add(code: number, to: Register, by: BpfOperand, label: string | null = null): void {
    if (typeof by === 'number') this.#put({ code, destination: to, value: by, label });
    else this.#put({ code: code | fromRegister, destination: to, source: by.register, label });
  }

  #wide(to: Register, source: number, low: number, high: number, map: string | null = null): void {
    this.#put({ code: classLoadConstant | widthCodes[8], destination: to, source, value: low, map });
    this.#put({ code: 0, value: high });
  }

  #put(instruction: Partial<BpfInstruction> & Pick<BpfInstruction, 'code'>): void {
    const whole = { ...blank, ...instruction };
    assert(Number.isInteger(whole.value) && Math.abs(whole.value) <= 2 ** 31, 'a constant has 32 bits');
    this.#instructions.push(whole);
  }
}

function short(value: number): number {
  assert(value >= -(2 ** 15) && value < 2 ** 15, 'an offset has 16 bits');
  return value;
}

/** `label + instructions behind it` for the number of an instruction, as in the verifier's complaints. */
export function labelBefore({ labels }: Pick<Assembled, 'labels'>, number: number): string {
  let place = `instruction ${number}`;
  for (const [label, at] of labels) if (at <= number) place = `${label} + ${number - at}`;
  return place;
}
