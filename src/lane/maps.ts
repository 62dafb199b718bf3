/** The lane's maps and programs in the kernel: how each map is made, and the first step that the kernel refuses. */
import { getSystemErrorName } from 'node:util';
import { laneClientsMax, laneInterfacesMax, laneSlots } from '../limits.js';
import type { Bpf, MapForm } from '../os/bpf.js';
import { labelBefore } from './assembler.js';
import {
  bucketBytes,
  bucketsCount,
  clientLayout,
  configLayout,
  laneCauses,
  laneSlotBytes,
  markLayout,
  scratchBytes,
} from './layout.js';
import { laneProgram } from './program.js';
import type { SendsBack } from './reply.js';
import { type LaneMap, laneMaps } from './text.js';
import { witnessProgram } from './witness.js';

/** The two forms of the program for interfaces, and the one for our sockets. */
type LaneProgram = SendsBack | 'witness';

const array = { type: 'array', keyBytes: 4, isShared: true } as const;
const perProcessor = { type: 'array per processor', keyBytes: 4, isShared: false } as const;

/** The memory of some is user space's as well. A client that has not asked for longest makes room for another. */
export const laneForms: Readonly<Record<LaneMap, Omit<MapForm, 'name'>>> = {
  config: { ...array, valueBytes: configLayout.bytes, entries: 1 },
  scratch: { ...perProcessor, valueBytes: scratchBytes, entries: 1 },
  index: { ...array, valueBytes: bucketBytes, entries: bucketsCount },
  slots: { ...array, valueBytes: laneSlotBytes, entries: laneSlots },
  marks: { ...array, valueBytes: markLayout.bytes, entries: laneSlots },
  clients: {
    type: 'recent',
    keyBytes: clientLayout.keyBytes,
    valueBytes: clientLayout.valueBytes,
    entries: laneClientsMax,
    isShared: false,
  },
  interfaces: {
    type: 'recent',
    keyBytes: 4,
    valueBytes: 8,
    entries: laneInterfacesMax,
    isShared: false,
  },
  passed: { ...perProcessor, valueBytes: 8, entries: laneCauses.length },
};

/** What the kernel refused, with the negative errno. */
interface LaneRefusal {
  readonly step: 'map' | 'program';
  readonly errno: number;
  /** Of the verifier; empty for maps. */
  readonly complaint: string;
}

export interface LaneInKernel {
  readonly maps: Readonly<Record<LaneMap, number>>;
  readonly programs: Readonly<Record<LaneProgram, number>>;
  readonly instructions: number;
}

/**
 * Descriptors of all of it, which the caller closes; after a refusal there are none. `given` are maps of an earlier
 * process to go on with; their descriptors become the lane's.
 */
export async function openLane(
  bpf: Bpf,
  close: (fd: number) => void,
  given: Partial<Record<LaneMap, number>> = {},
): Promise<LaneInKernel | LaneRefusal> {
  const open: number[] = Object.values(given);
  const refused = (refusal: LaneRefusal): LaneRefusal => {
    for (const fd of open) close(fd);
    return refusal;
  };
  const maps = new Map<LaneMap, number>();
  for (const name of laneMaps) {
    const fd = given[name] ?? bpf.createMap({ name: `zerohop_${name}`.slice(0, 15), ...laneForms[name] });
    if (fd < 0) return refused({ step: 'map', errno: fd, complaint: '' });
    if (given[name] === undefined) open.push(fd);
    maps.set(name, fd);
  }
  const descriptorOf = (map: LaneMap): number => maps.get(map) as number;
  const programs = { peer: -1, same: -1, witness: -1 };
  let instructions = 0;
  for (const name of ['peer', 'same', 'witness'] as const) {
    const isWitness = name === 'witness';
    const program = isWitness ? witnessProgram(descriptorOf) : laneProgram(name, descriptorOf);
    const runs = isWitness ? 'on sockets' : 'on interfaces';
    const { fd, complaint } = await bpf.load(`zerohop_${name}`, runs, program.instructions);
    if (fd < 0) return refused({ step: 'program', errno: fd, complaint: inWords(complaint, program) });
    open.push(fd);
    programs[name] = fd;
    instructions += program.instructions.length / 8;
  }
  return { maps: Object.fromEntries(maps) as Record<LaneMap, number>, programs, instructions };
}

/** The kernel keeps what is attached. */
export function closeLane({ maps, programs }: LaneInKernel, close: (fd: number) => void): void {
  for (const fd of [...Object.values(maps), ...Object.values(programs)]) close(fd);
}

/** What it takes, where that is known. */
export function refusalText({ step, errno, complaint }: LaneRefusal): string {
  const code = getSystemErrorName(errno);
  if (code === 'EPERM')
    return step === 'map'
      ? 'bpf(2) is refused (EPERM); it takes the capability BPF, and a seccomp profile that allows it'
      : `the program is refused (EPERM); it takes the capabilities BPF and NET_ADMIN${behind(complaint)}`;
  if (code === 'ENOSYS') return 'this kernel has no bpf(2)';
  return `the kernel refuses the ${step} (${code})${behind(complaint)}`;
}

function behind(complaint: string): string {
  return complaint === '' ? '' : `: ${complaint}`;
}

/** The verifier's last words, with the label before the instruction that they are about. */
function inWords(complaint: string, program: Parameters<typeof labelBefore>[0]): string {
  const lines = complaint.split('\n').filter((line) => !/^(?:processed|verification time|stack depth)/.test(line));
  const numbers = lines.flatMap((line) => /^(\d+): \(/.exec(line)?.[1] ?? []);
  const place = numbers.length === 0 ? '' : ` (${labelBefore(program, Number(numbers[numbers.length - 1]))})`;
  return `${lines[lines.length - 1] ?? ''}${place}`;
}
