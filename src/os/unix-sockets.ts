/**
 * Unix sockets between processes of one user, checked by SO_PEERCRED, which Node.js does not offer. Streams are Node's.
 */
import { getSystemErrorName } from 'node:util';
import { handoverFrameBytesMax, handoverPeersMax, unixPathBytesMax } from '../limits.js';
import { must } from './bound-socket.js';
import {
  type Greeting,
  type LocalListener,
  type LocalSockets,
  listenBacklog,
  type PathSockets,
  type Stream,
  type StreamEvents,
} from './network.js';
import type { Random } from './random.js';
import { SocketFile } from './socket-file.js';
import { descriptorsMax, errors, linux, type SystemCalls } from './system-calls.js';

interface UnixSocketsDeps {
  readonly calls: SystemCalls;
  readonly random: Random;
  /** Makes a stream of a connected descriptor, which the stream closes; `began` returns the receiver of its events. */
  readonly adopt: (fd: number, began: (stream: Stream) => StreamEvents) => Stream;
}

interface Listening {
  readonly file: SocketFile;
  readonly accepted: (stream: Stream) => StreamEvents;
  readonly greeting: () => Greeting;
}

export class UnixSockets implements LocalSockets {
  readonly #deps: UnixSocketsDeps;
  readonly #ownUid = process.getuid?.() ?? -1;

  constructor(deps: UnixSocketsDeps) {
    this.#deps = deps;
  }

  connect(path: string, events: StreamEvents): ReturnType<LocalSockets['connect']> {
    const { calls, adopt } = this.#deps;
    const fd = calls.streamSocket(linux.familyUnix);
    if (fd < 0) return { stream: null, why: getSystemErrorName(fd) };
    const result = calls.connect(fd, pathAddress(path));
    const why = result < 0 ? result : this.#whoseOf(fd) === this.#ownUid ? null : 'owned by another user';
    if (why === null) return { stream: adopt(fd, () => events), why };
    calls.close(fd);
    if (why === errors.noEntry || why === errors.refused) return { stream: null, why: null };
    return { stream: null, why: typeof why === 'string' ? why : getSystemErrorName(why) };
  }

  fetch(path: string, came: (greeting: Greeting) => void): () => void {
    const { calls } = this.#deps;
    const fd = calls.streamSocket(linux.familyUnix);
    let isOver = calls.connect(fd, pathAddress(path)) < 0 || this.#whoseOf(fd) !== this.#ownUid;
    const stopWatching = isOver ? () => {} : calls.watch(fd, receive);
    if (isOver) calls.close(fd);

    function receive(): void {
      const bytes = Buffer.alloc(handoverFrameBytesMax);
      const descriptors: number[] = [];
      const received = calls.receiveDescriptors(fd, bytes, descriptors);
      if (received === errors.tryAgain) return;
      stop();
      if (received > 0) came({ bytes: bytes.subarray(0, received), descriptors });
    }

    function stop(): void {
      if (isOver) return;
      isOver = true;
      stopWatching();
      calls.close(fd);
    }
    return stop;
  }

  #whoseOf(fd: number): number {
    const credentials = new Int32Array(3);
    return this.#deps.calls.option(fd, linux.socketLevel, linux.peerCredentials, credentials) < 0 ? -1 : credentials[1];
  }

  listen(...[path, accepted, greeting]: Parameters<LocalSockets['listen']>): ReturnType<LocalSockets['listen']> {
    const { calls, random } = this.#deps;
    const fd = calls.streamSocket(linux.familyUnix);
    const file = new SocketFile(path, random);
    try {
      file.makeFolder();
      must('bind', calls.bind(fd, pathAddress(file.first)));
      file.keepToOwner();
      must('listen', calls.listen(fd, listenBacklog));
      file.put();
    } catch (error) {
      calls.close(fd);
      file.remove();
      return { listener: null, why: `${path}: ${(error as Error).message}` };
    }
    return { listener: this.#listenerOn(fd, { file, accepted, greeting }), why: null };
  }

  #listenerOn(fd: number, { file, accepted, greeting }: Listening): LocalListener {
    const { calls, adopt } = this.#deps;
    let isOpen = true;
    const stopWatching = calls.watch(fd, () => {
      for (let left = handoverPeersMax; left > 0 && isOpen; left--) {
        const peer = calls.accept(fd);
        if (peer < 0) return;
        if (this.#whoseOf(peer) !== this.#ownUid) {
          calls.close(peer);
          continue;
        }
        const { bytes, descriptors } = greeting();
        calls.sendDescriptors(peer, bytes, descriptors.slice(0, descriptorsMax));
        adopt(peer, accepted);
      }
    });
    return {
      isInPlace: () => isOpen && file.isInPlace(),
      close() {
        if (!isOpen) return;
        file.remove();
        isOpen = false;
        stopWatching();
        calls.close(fd);
      },
    };
  }
}

/** A struct sockaddr_un; a path that is too long is cut and not found. */
function pathAddress(path: string): Uint8Array {
  const address = Buffer.alloc(2 + unixPathBytesMax + 1);
  address.writeUInt16LE(linux.familyUnix, 0);
  address.write(path, 2, unixPathBytesMax);
  return address;
}

const nothingToSay: Greeting = { bytes: new Uint8Array(0), descriptors: [] };

/** The same without greetings. */
export function pathSockets(sockets: LocalSockets): PathSockets {
  return {
    async listen(path, accepted) {
      const { listener, why } = sockets.listen(path, accepted, () => nothingToSay);
      if (listener === null) throw new Error(why);
      return listener;
    },
    async connect(path, events) {
      const { stream, why } = sockets.connect(path, events);
      if (stream !== null) return stream;
      const code = why === null ? 'ENOENT' : /^E[A-Z]+$/u.test(why) ? why : 'EPERM';
      throw Object.assign(new Error(`connect ${code} ${path}`), { code });
    },
  };
}
