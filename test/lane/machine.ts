/**
 * The kernel's BPF machine, as far as our program uses it, with maps and packets in memory: so tests run the program
 * without a kernel, on any system, and see where it reads or writes what the verifier would not allow.
 */
import assert from 'node:assert/strict';
import { bpfInstructionBytes } from '../../src/lane/assembler.js';

/** Bytes in which a pointer may point to any place, and beyond the end by mistake. */
interface Region {
  readonly name: string;
  readonly bytes: Uint8Array;
}

interface Pointer {
  readonly region: Region;
  readonly at: number;
}

/** A number of 64 bits, an address, or the handle of a map. */
type Value = bigint | Pointer | { readonly map: MachineMap };

export interface MachineMap {
  readonly name: string;
  /** The element under this key, made at most once; null: there is none. */
  find(key: Uint8Array): Uint8Array | null;
  put?(key: Uint8Array, value: Uint8Array): void;
}

export interface Ran {
  readonly verdict: number;
  readonly packet: Uint8Array;
  /** Where it was sent back to, and by which helper; null: it was not. */
  readonly sentTo: { readonly interfaceIndex: number; readonly isToPeer: boolean } | null;
  readonly steps: number;
  /** Its mark and priority at the end, and the marks of its copies. */
  readonly mark: number;
  readonly priority: number;
  readonly copies: readonly number[];
}

const stackBytes = 512;
const stepsMax = 100_000;

export interface World {
  readonly maps: ReadonlyMap<number, MachineMap>;
  readonly nowNs: bigint;
  readonly interfaceIndex: number;
  readonly vlan?: number;
  readonly mark?: number;
  readonly priority?: number;
  /** Whether a socket is there for the packet; there is. */
  readonly hasSocket?: boolean;
  /** A helper that fails this time, by its number. */
  readonly failing?: number;
}

export function runProgram(instructions: Uint8Array, frame: Uint8Array, world: World): Ran {
  return new Machine(instructions, frame, world).run();
}

class Machine {
  readonly #view: DataView;
  readonly #world: World;
  readonly #registers: (Value | null)[] = new Array(11).fill(null);
  readonly #written = new Uint8Array(stackBytes);
  readonly #stack: Region = { name: 'stack', bytes: new Uint8Array(stackBytes) };
  readonly #context: Region;
  #packet: Uint8Array;
  #sentTo: Ran['sentTo'] = null;
  readonly #copies: number[] = [];
  #sockets = 0;

  constructor(instructions: Uint8Array, frame: Uint8Array, world: World) {
    this.#view = new DataView(instructions.buffer, instructions.byteOffset, instructions.length);
    this.#world = world;
    this.#packet = Uint8Array.from(frame);
    const context = new DataView(new ArrayBuffer(192));
    context.setUint32(0, frame.length, true);
    context.setUint16(16, (frame[13] << 8) | frame[12], true);
    context.setUint32(8, world.mark ?? 0, true);
    context.setUint32(20, world.vlan ?? 0, true);
    context.setUint32(32, world.priority ?? 0, true);
    context.setUint32(40, world.interfaceIndex, true);
    this.#context = { name: 'context', bytes: new Uint8Array(context.buffer) };
    this.#registers[1] = { region: this.#context, at: 0 };
    this.#registers[10] = { region: this.#stack, at: stackBytes };
  }

  run(): Ran {
    const view = this.#view;
    for (let number = 0, steps = 1; ; number++, steps++) {
      assert.ok(steps < stepsMax, 'the program does not end');
      const at = number * bpfInstructionBytes;
      const code = view.getUint8(at);
      const destination = view.getUint8(at + 1) & 15;
      const source = view.getUint8(at + 1) >> 4;
      const offset = view.getInt16(at + 2, true);
      const constant = view.getInt32(at + 4, true);
      const operand = (): Value => ((code & 8) === 0 ? BigInt.asUintN(64, BigInt(constant)) : this.#get(source));
      switch (code & 7) {
        case 0:
          this.#set(destination, this.#constant(source, at));
          number++;
          break;
        case 1:
          this.#set(destination, this.#load(this.#get(source), offset, widths[code & 0x18]));
          break;
        case 2:
          this.#store(this.#get(destination), offset, widths[code & 0x18], BigInt.asUintN(64, BigInt(constant)));
          break;
        case 3:
          if (code === 0xc3) this.#addTo(this.#get(destination), offset, numberOf(this.#get(source)));
          else this.#store(this.#get(destination), offset, widths[code & 0x18], numberOf(this.#get(source)));
          break;
        case 4:
        case 7:
          this.#calculate(code, destination, (code & 0xf0) === 0xd0 ? BigInt(constant) : operand());
          break;
        case 5:
          if (code === 0x95) {
            const verdict = Number(BigInt.asIntN(32, numberOf(this.#get(0))));
            const context = new DataView(this.#context.bytes.buffer);
            const [mark, priority] = [context.getUint32(8, true), context.getUint32(32, true)];
            assert.equal(this.#sockets, 0, 'a socket that was looked up is released');
            return { verdict, packet: this.#packet, sentTo: this.#sentTo, steps, mark, priority, copies: this.#copies };
          }
          if (code === 0x85) this.#call(constant);
          else if (this.#jumps(code, destination, operand)) number += offset;
          break;
        default:
          assert.fail(`instruction ${number} has the unknown code ${code}`);
      }
    }
  }

  #get(register: number): Value {
    const value = this.#registers[register];
    assert.ok(value !== null, `register ${register} is read before it is written`);
    return value;
  }

  #set(register: number, value: Value): void {
    assert.notEqual(register, 10, 'the frame pointer does not change');
    this.#registers[register] = value;
  }

  #constant(source: number, at: number): Value {
    const low = this.#view.getUint32(at + 4, true);
    if (source === 0) return (BigInt(this.#view.getUint32(at + 12, true)) << 32n) | BigInt(low);
    const map = this.#world.maps.get(low);
    assert.ok(source === 1 && map !== undefined, `there is no map ${low}`);
    return { map };
  }

  #calculate(code: number, register: number, by: Value): void {
    const operation = code & 0xf0;
    if (operation === 0xb0 && (code & 7) === 7) return this.#set(register, by);
    const before = operation === 0xb0 ? 0n : this.#get(register);
    if (typeof before !== 'bigint' || typeof by !== 'bigint') return this.#set(register, moved(operation, before, by));
    if (operation === 0xd0) return this.#set(register, swapped(before, Number(by)));
    const bits = (code & 7) === 4 ? 32 : 64;
    const one = BigInt.asUintN(bits, before);
    const other = BigInt.asUintN(bits, by);
    this.#set(register, BigInt.asUintN(bits, calculated(operation, one, other)));
  }

  #jumps(code: number, register: number, operand: () => Value): boolean {
    if ((code & 0xf0) === 0x00) return true;
    const one = this.#get(register);
    const other = operand();
    // Only with nothing is an address compared.
    if (typeof one !== 'bigint') {
      assert.ok(other === 0n && (code & 0xf0) <= 0x50);
      return (code & 0xf0) === 0x50;
    }
    return holds(code & 0xf0, one, numberOf(other));
  }

  #place(
    pointer: Value,
    offset: number,
    bytes: number,
  ): { readonly view: DataView; readonly region: Region; readonly at: number } {
    assert.ok(typeof pointer === 'object' && 'region' in pointer, 'no address');
    const { region } = pointer;
    const at = pointer.at + offset;
    assert.ok(at >= 0 && at + bytes <= region.bytes.length, `${region.name}: ${bytes} bytes at ${at}`);
    return { view: new DataView(region.bytes.buffer, region.bytes.byteOffset + at, bytes), region, at };
  }

  #load(from: Value, offset: number, bytes: number): bigint {
    const { view, region, at } = this.#place(from, offset, bytes);
    if (region === this.#stack) {
      assert.equal(at % bytes, 0, `${bytes} bytes at ${at - stackBytes} of the stack`);
      assert.ok(this.#written.subarray(at, at + bytes).every(Boolean), `${at - stackBytes} of the stack is read first`);
    }
    if (bytes === 8) return view.getBigUint64(0, true);
    return BigInt(bytes === 4 ? view.getUint32(0, true) : bytes === 2 ? view.getUint16(0, true) : view.getUint8(0));
  }

  #store(to: Value, offset: number, bytes: number, what: bigint): void {
    const { view, region, at } = this.#place(to, offset, bytes);
    const isWritable = at === 8 || at === 32;
    assert.ok(region !== this.#context || (isWritable && bytes === 4), 'of the context only mark and priority change');
    if (region === this.#stack) {
      assert.equal(at % bytes, 0, `${bytes} bytes at ${at - stackBytes} of the stack`);
      this.#written.fill(1, at, at + bytes);
    }
    if (bytes === 8) view.setBigUint64(0, what, true);
    else if (bytes === 4) view.setUint32(0, Number(what & 0xffff_ffffn), true);
    else if (bytes === 2) view.setUint16(0, Number(what & 0xffffn), true);
    else view.setUint8(0, Number(what & 0xffn));
  }

  #addTo(to: Value, offset: number, what: bigint): void {
    this.#store(to, offset, 4, this.#load(to, offset, 4) + what);
  }

  #call(helper: number): void {
    const result = helper === this.#world.failing ? -22n : this.#helped(helper);
    for (let register = 1; register <= 5; register++) this.#registers[register] = null;
    this.#registers[0] = typeof result === 'bigint' ? BigInt.asUintN(64, result) : result;
  }

  /** From this place of the packet to where register 3 points to. */
  #copied(at: number, bytes: number): bigint {
    assert.ok(bytes > 0);
    const { region, at: to } = this.#place(this.#get(3), 0, bytes);
    if (region === this.#stack) this.#written.fill(1, to, to + bytes);
    if (at + bytes > this.#packet.length) return -14n;
    region.bytes.set(this.#packet.subarray(at, at + bytes), to);
    return 0n;
  }

  #helped(helper: number): Value {
    const number = (register: number): number => Number(BigInt.asIntN(64, numberOf(this.#get(register))));
    switch (helper) {
      case 1: {
        const handle = this.#get(1);
        assert.ok(typeof handle === 'object' && 'map' in handle);
        const key = this.#place(this.#get(2), 0, keyBytesOf(handle.map.name));
        const element = handle.map.find(
          Uint8Array.from(key.region.bytes.subarray(key.at, key.at + key.view.byteLength)),
        );
        return element === null ? 0n : { region: { name: handle.map.name, bytes: element }, at: 0 };
      }
      case 9: {
        const [at, bytes] = [number(2), number(4)];
        assert.ok(bytes > 0);
        const { region, at: from } = this.#place(this.#get(3), 0, bytes);
        if (region === this.#stack) assert.ok(this.#written.subarray(from, from + bytes).every(Boolean));
        if (at + bytes > this.#packet.length) return -14n;
        this.#packet.set(region.bytes.subarray(from, from + bytes), at);
        return 0n;
      }
      case 26:
        return this.#copied(number(2), number(4));
      case 38: {
        const packet = new Uint8Array(number(2));
        packet.set(this.#packet.subarray(0, packet.length));
        this.#packet = packet;
        return 0n;
      }
      case 2: {
        const handle = this.#get(1);
        assert.ok(typeof handle === 'object' && 'map' in handle && handle.map.put !== undefined);
        const key = this.#place(this.#get(2), 0, keyBytesOf(handle.map.name));
        const value = this.#place(this.#get(3), 0, handle.map.name === 'clients' ? 16 : 8);
        for (const { region, at, view } of [key, value]) {
          if (region === this.#stack) assert.ok(this.#written.subarray(at, at + view.byteLength).every(Boolean));
        }
        const bytesOf = ({ region, at, view }: typeof key): Uint8Array =>
          Uint8Array.from(region.bytes.subarray(at, at + view.byteLength));
        handle.map.put(bytesOf(key), bytesOf(value));
        return 0n;
      }
      case 68:
        return this.#copied(number(2) + 14, number(4));
      case 28: {
        assert.deepEqual([number(1), number(2)], [0, 0], 'sums only of what is added');
        const bytes = number(4);
        assert.ok(bytes % 4 === 0 && bytes <= 512, `a sum of ${bytes} bytes`);
        const { view, region, at } = this.#place(this.#get(3), 0, bytes);
        if (region === this.#stack) assert.ok(this.#written.subarray(at, at + bytes).every(Boolean));
        let sum = number(5);
        for (let half = 0; half < bytes; half += 2) sum += view.getUint16(half, true);
        return BigInt(sum);
      }
      case 13:
        assert.equal(number(3), 1);
        assert.equal(number(2), this.#world.interfaceIndex);
        this.#copies.push(new DataView(this.#context.bytes.buffer).getUint32(8, true));
        return 0n;
      case 85: {
        const bytes = number(3);
        assert.deepEqual([bytes === 12 || bytes === 36, number(4), number(5)], [true, -1, 0]);
        const { region, at } = this.#place(this.#get(2), 0, bytes);
        assert.ok(region === this.#stack && this.#written.subarray(at, at + bytes).every(Boolean));
        if (this.#world.hasSocket === false) return 0n;
        this.#sockets++;
        return { region: { name: 'socket', bytes: new Uint8Array(0) }, at: 0 };
      }
      case 86: {
        const socket = this.#get(1);
        assert.ok(typeof socket === 'object' && 'region' in socket && socket.region.name === 'socket');
        this.#sockets--;
        return 0n;
      }
      case 160:
        return this.#world.nowNs;
      case 23:
      case 155:
        this.#sentTo = { interfaceIndex: number(1), isToPeer: helper === 155 };
        return 7n;
      default:
        assert.fail(`there is no helper ${helper}`);
    }
  }
}

const widths: Readonly<Record<number, 1 | 2 | 4 | 8>> = { 16: 1, 8: 2, 0: 4, 24: 8 };

function keyBytesOf(map: string): number {
  return map === 'clients' ? 20 : 4;
}

function numberOf(value: Value): bigint {
  assert.equal(typeof value, 'bigint', 'an address where a number belongs');
  return value as bigint;
}

/** An address plus a number. */
function moved(operation: number, address: Value, by: Value): Value {
  assert.ok(typeof address === 'object' && 'region' in address && operation === 0x00, 'addresses are only added to');
  return { region: address.region, at: address.at + Number(BigInt.asIntN(64, numberOf(by))) };
}

function swapped(value: bigint, bits: number): bigint {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(value);
  return bits === 16 ? BigInt(bytes.readUInt16BE(0)) : BigInt(bytes.readUInt32BE(0));
}

function calculated(operation: number, one: bigint, other: bigint): bigint {
  switch (operation) {
    case 0x00:
      return one + other;
    case 0x10:
      return one - other;
    case 0x20:
      return one * other;
    case 0x30:
      return other === 0n ? 0n : one / other;
    case 0x40:
      return one | other;
    case 0x50:
      return one & other;
    case 0x60:
      return one << other;
    case 0x70:
      return one >> other;
    case 0xa0:
      return one ^ other;
    case 0xb0:
      return other;
    default:
      assert.fail(`there is no operation ${operation}`);
  }
}

function holds(condition: number, one: bigint, other: bigint): boolean {
  switch (condition) {
    case 0x10:
      return one === other;
    case 0x20:
      return one > other;
    case 0x30:
      return one >= other;
    case 0x40:
      return (one & other) !== 0n;
    case 0x50:
      return one !== other;
    case 0xa0:
      return one < other;
    case 0xb0:
      return one <= other;
    default:
      assert.fail(`there is no condition ${condition}`);
  }
}
