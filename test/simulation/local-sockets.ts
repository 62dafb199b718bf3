/** Unix sockets in memory: paths that somebody listens at, and streams between two ends, on the test's clock. */
import type { Clock } from '../../src/os/clock.js';
import type { LocalSockets, Stream, StreamEvents } from '../../src/os/network.js';

interface AtPath {
  accepted(stream: Stream): StreamEvents;
}

export interface MemoryLocalSockets extends LocalSockets {
  /** Breaks every stream, as when whoever is at one end of it dies; those who listen stop as well. */
  breakAll(): void;
  /** From now on nothing that is said arrives. */
  mute(): void;
  /** Somebody who accepts and says nothing. */
  listenDeaf(path: string): void;
  /** Somebody whose bytes the test writes and reads. */
  listenByHand(path: string, heard: (bytes: Uint8Array, stream: Stream) => void): void;
  readonly streams: number;
}

export function memoryLocalSockets(clock: Clock): MemoryLocalSockets {
  const paths = new Map<string, AtPath>();
  const open = new Set<End>();
  let isMuted = false;

  class End implements Stream {
    readonly remote = { address: '', port: 0 };
    readonly unsentBytes = 0;
    other!: End;
    events!: StreamEvents;
    isOpen = true;

    write(bytes: Uint8Array): void {
      const copy = Uint8Array.from(bytes);
      this.#later(() => !isMuted && this.other.isOpen && this.other.events.data(copy));
    }

    pause(): void {}
    resume(): void {}

    end(): void {
      this.#later(() => {
        if (this.other.isOpen) this.other.events.ended();
        this.destroy();
      });
    }

    destroy(): void {
      for (const end of [this, this.other]) {
        if (!end.isOpen) continue;
        end.isOpen = false;
        open.delete(end);
        this.#later(() => end.events.closed());
      }
    }

    #later(run: () => void): void {
      clock.after(0, run);
    }
  }

  const listenByHand: MemoryLocalSockets['listenByHand'] = (path, heard) => {
    paths.set(path, {
      accepted: (stream) => ({ data: (bytes) => heard(bytes, stream), ended() {}, closed() {} }),
    });
  };

  return {
    connect(path, events) {
      const there = paths.get(path);
      if (there === undefined) return { stream: null, why: null };
      const [near, far] = [new End(), new End()];
      near.other = far;
      far.other = near;
      near.events = events;
      far.events = there.accepted(far);
      open.add(near).add(far);
      return { stream: near, why: null };
    },
    listen(path, accepted) {
      const own: AtPath = { accepted };
      paths.set(path, own);
      return {
        why: null,
        listener: {
          isInPlace: () => paths.get(path) === own,
          close: () => void (paths.get(path) === own && paths.delete(path)),
        },
      };
    },
    fetch: () => () => {},
    breakAll() {
      paths.clear();
      for (const end of [...open]) end.destroy();
    },
    mute() {
      isMuted = true;
    },
    listenDeaf: (path) => listenByHand(path, () => {}),
    listenByHand,
    get streams() {
      return open.size / 2;
    },
  };
}
