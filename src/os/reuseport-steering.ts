/**
 * Which socket of a group gets a packet. Sockets that share a port by SO_REUSEPORT, those of other processes too,
 * are a group: a list in the kernel, to whose end each new one goes and in which the last takes the place of one
 * that is closed. A classic BPF program on the group returns the place in that list; a place that does not exist
 * means that the kernel chooses by its hash among all that are left, which is how a process that dies gives back what
 * was steered to it. Here the programs are written; groups.ts knows the places.
 */
import type { SystemCalls } from './system-calls.js';

// Instructions of classic BPF (linux/bpf_common.h): class, size or operation, mode.
const loadWord = 0x20;
const loadHalf = 0x28;
const loadByte = 0x30;
const toIndex = 0x07;
const multiply = 0x24;
const shiftRight = 0x74;
const modulo = 0x94;
const exclusiveOrIndex = 0xac;
const jump = 0x05;
const jumpIfEqual = 0x15;
const returnConstant = 0x06;

/** Offsets from here on count from the start of the IP header (SKF_NET_OFF). */
const network = -0x100000;
/** Knuth's multiplicative hash: the golden ratio as a fraction of 2^32. */
const golden = 0x9e3779b1;

type Instruction = readonly [code: number, ifTrue: number, ifFalse: number, value: number];

export const instructionBytes = 8;

/**
 * A program that spreads packets over these places, by the sender's address and port, so that a sender stays with a
 * socket. At least one place. IPv4 options, which nobody sends, make it choose by other bytes.
 */
export function steeringProgram(places: readonly number[]): Uint8Array {
  if (places.length === 1) return encoded([returning(places[0])]);
  const choices = places.flatMap((place, index): Instruction[] =>
    index === places.length - 1 ? [returning(place)] : [[jumpIfEqual, 0, 1, index], returning(place)],
  );
  return encoded([
    [loadByte, 0, 0, network],
    [shiftRight, 0, 0, 4],
    [jumpIfEqual, 4, 0, 6],
    [loadWord, 0, 0, network + 12],
    [toIndex, 0, 0, 0],
    [loadHalf, 0, 0, network + 20],
    [jump, 0, 0, 3],
    [loadWord, 0, 0, network + 20],
    [toIndex, 0, 0, 0],
    [loadHalf, 0, 0, network + 40],
    [exclusiveOrIndex, 0, 0, 0],
    [multiply, 0, 0, golden],
    [shiftRight, 0, 0, 16],
    [modulo, 0, 0, places.length],
    ...choices,
  ]);
}

/** Steers the group of this socket to these places, or with none leaves the choice to the kernel; 0 or the errno. */
export function steerTo(calls: SystemCalls, fd: number, places: readonly number[]): number {
  return places.length === 0 ? calls.detachProgram(fd) : calls.attachProgram(fd, steeringProgram(places));
}

function returning(place: number): Instruction {
  return [returnConstant, 0, 0, place];
}

/** As struct sock_filter lies in memory, little-endian as both processors are that we run on. */
function encoded(instructions: readonly Instruction[]): Uint8Array {
  const bytes = new Uint8Array(instructions.length * instructionBytes);
  const view = new DataView(bytes.buffer);
  for (const [index, [code, ifTrue, ifFalse, value]] of instructions.entries()) {
    view.setUint16(index * instructionBytes, code, true);
    view.setUint8(index * instructionBytes + 2, ifTrue);
    view.setUint8(index * instructionBytes + 3, ifFalse);
    view.setUint32(index * instructionBytes + 4, value >>> 0, true);
  }
  return bytes;
}
