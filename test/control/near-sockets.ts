/** A control socket's two ends in memory: what each has heard, and how much waits for a slow reader, as the test says. */
import type { LocalListener, PathSockets, Stream, StreamEvents } from '../../src/os/network.js';

export interface NearEnd {
  /** Everything that has been written to this end, as text. */
  heard(): string;
  /** The lines of it, read as JSON. */
  messages(): unknown[];
  isEnded: boolean;
  isClosed: boolean;
  /** What the other side's stream says is unsent. */
  unsentBytes: number;
  say(text: string): void;
  /** The peer closes its side, or all. */
  end(): void;
  close(): void;
}

export interface NearSockets extends PathSockets {
  /** Each connection that a test opened, from the client's side. */
  open(): NearEnd;
  /** Somebody takes the path away. */
  takeAway(): void;
  isThere(): boolean;
  refusal: NodeJS.ErrnoException | null;
}

/** `events` gets what the end hears; the test drives the end. */
function streamTo(end: NearEnd, hear: (bytes: Uint8Array) => void, over: () => void): Stream {
  return {
    remote: { address: '', port: 0 },
    get unsentBytes() {
      return end.unsentBytes;
    },
    write: (bytes) => hear(bytes),
    pause() {},
    resume() {},
    end() {
      end.isEnded = true;
    },
    destroy() {
      end.isClosed = true;
      over();
    },
  };
}

export function nearEnd(accepted: (stream: Stream) => StreamEvents): NearEnd {
  let text = '';
  let events: StreamEvents = { data() {}, ended() {}, closed() {} };
  const end: NearEnd = {
    heard: () => text,
    messages: () =>
      text
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line)),
    isEnded: false,
    isClosed: false,
    unsentBytes: 0,
    say: (said) => events.data(Buffer.from(said)),
    end: () => events.ended(),
    close: () => events.closed(),
  };
  events = accepted(
    streamTo(
      end,
      (bytes) => {
        text += Buffer.from(bytes).toString();
      },
      () => {},
    ),
  );
  return end;
}

export function nearSockets(): NearSockets {
  let owner: { accepted(stream: Stream): StreamEvents } | null = null;
  const sockets: NearSockets = {
    refusal: null,
    async listen(_path, accepted): Promise<LocalListener> {
      if (sockets.refusal !== null) throw sockets.refusal;
      const own = { accepted };
      owner = own;
      return {
        isInPlace: () => owner === own,
        close() {
          if (owner === own) owner = null;
        },
      };
    },
    async connect(path, events) {
      if (owner === null) throw Object.assign(new Error(`connect ENOENT ${path}`), { code: 'ENOENT' });
      const end = nearEnd(owner.accepted);
      return streamTo(
        end,
        (bytes) => end.say(Buffer.from(bytes).toString()),
        () => events.closed(),
      );
    },
    open: () => nearEnd(owner!.accepted),
    takeAway() {
      owner = null;
    },
    isThere: () => owner !== null,
  };
  return sockets;
}
