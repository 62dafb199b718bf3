/**
 * Where the program hangs: at every interface over which questions have come, before everything else that sees its
 * packets. The kernel keeps the links, by pins; interfaces that go take their links along.
 */
import { laneInterfacesMax, laneLinksLookedAt, laneRefusedAgainMs } from '../limits.js';
import type { Bpf } from '../os/bpf.js';
import type { Link, LinkOf } from '../os/links.js';
import { numberKey } from './elements.js';
import type { Pins } from './pins.js';
import type { SendsBack } from './reply.js';

interface LaneInterfacesDeps {
  readonly bpf: Bpf;
  readonly pins: Pins;
  readonly linkOf: LinkOf;
  /** Of the interfaces over which the default routes lead. */
  readonly uplinks: () => readonly string[];
  /** Also where somebody else's programs hang. */
  readonly isBesideOthers: boolean;
  readonly programs: Readonly<Record<SendsBack, number>>;
  /** The map of interfaces over which questions came. */
  readonly map: number;
  nowMs(): number;
  /** For the log, once for each interface and cause, however often it is tried. */
  refused(interfaceName: string, why: string): void;
  close(fd: number): void;
}

export class LaneInterfaces {
  readonly #deps: LaneInterfacesDeps;
  readonly #attached = new Set<number>();
  /** Where it may not hang, why, and when that is tried again. */
  readonly #refused = new Map<number, { readonly why: string; readonly triesAgainAtMs: number }>();
  #isLooking = false;
  #isOver = true;
  /** Interfaces whose existence is to be looked at, in turns. */
  #rounds: number[] = [];

  constructor(deps: LaneInterfacesDeps) {
    this.#deps = deps;
  }

  get attached(): number {
    return this.#attached.size;
  }

  get refused(): number {
    return this.#refused.size;
  }

  /** Lets the links that another process has left run our programs; those of interfaces that are gone are removed. */
  async begin(): Promise<void> {
    this.#isOver = false;
    this.#attached.clear();
    this.#refused.clear();
    const { pins, linkOf } = this.#deps;
    for (const index of pins.links()) if (!this.#isOver) await this.#takeLink(index, linkOf(index));
  }

  /** Attaches to new interfaces, and forgets some that are gone. One look at a time; never rejects. */
  async look(): Promise<void> {
    if (this.#isLooking || this.#isOver) return;
    this.#isLooking = true;
    try {
      const { bpf, map, nowMs } = this.#deps;
      for (const index of bpf.numberKeys(map, laneInterfacesMax)) {
        const triesAgainAtMs = this.#refused.get(index)?.triesAgainAtMs ?? 0;
        if (this.#attached.has(index) || nowMs() < triesAgainAtMs) continue;
        await this.#attach(index);
        if (this.#isOver) return;
      }
      this.#sweep();
    } finally {
      this.#isLooking = false;
    }
  }

  /** Attaches to nothing more, until it begins again. */
  end(): void {
    this.#isOver = true;
  }

  async #attach(index: number): Promise<void> {
    const { bpf, pins, linkOf, isBesideOthers, close } = this.#deps;
    const link = linkOf(index);
    if (link === null) return this.#forget(index);
    if (await this.#takeLink(index, link)) return;
    const others = bpf.attachedTo(index);
    if (others > 0 && !isBesideOthers) return this.#refuse(index, link.name, 'programs of others see its packets');
    const fd = await bpf.attach(this.#programFor(link), index);
    if (fd < 0) return this.#refuse(index, link.name, `the kernel refuses to attach the program (${fd})`);
    // After an end in the meantime nothing may hang there.
    const pinned = this.#isOver ? -1 : pins.pinLink(index, fd);
    close(fd);
    if (pinned < 0) return this.#refuse(index, link.name, `the link cannot be pinned (${pinned})`);
    this.#refused.delete(index);
    this.#attached.add(index);
  }

  /** Whether a pinned link hangs there and runs our program now. */
  async #takeLink(index: number, link: Link | null): Promise<boolean> {
    const { bpf, pins, close } = this.#deps;
    const fd = pins.openLink(index);
    if (fd < 0) return false;
    const replaced = link === null ? -1 : await bpf.replaceProgram(fd, this.#programFor(link));
    close(fd);
    if (replaced === 0) this.#attached.add(index);
    else pins.removeLink(index);
    return replaced === 0;
  }

  /** A veth of a pod has its other end there. Our own way out of a pod is a veth as well, and answers leave over it. */
  #programFor({ name, kind }: Link): number {
    const { programs, uplinks } = this.#deps;
    const isToPod = (kind === 'veth' || kind === 'netkit') && !uplinks().includes(name);
    return programs[isToPod ? 'peer' : 'same'];
  }

  #refuse(index: number, name: string, why: string): void {
    const { nowMs, refused } = this.#deps;
    const isNew = this.#refused.get(index)?.why !== why;
    this.#refused.set(index, { why, triesAgainAtMs: nowMs() + laneRefusedAgainMs });
    if (isNew) refused(name, why);
  }

  /** Looks at some interfaces a time, because each is a question to the kernel. */
  #sweep(): void {
    if (this.#rounds.length === 0) this.#rounds = [...this.#attached, ...this.#refused.keys()];
    for (const index of this.#rounds.splice(0, laneLinksLookedAt))
      if (this.#deps.linkOf(index) === null) this.#forget(index);
  }

  #forget(index: number): void {
    const { bpf, pins, map } = this.#deps;
    bpf.remove(map, numberKey(index));
    this.#refused.delete(index);
    if (this.#attached.delete(index)) pins.removeLink(index);
  }
}
