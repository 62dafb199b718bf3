/**
 * The server's side of the control socket: takes the path while this instance serves, and gives each client one answer. A
 * client costs nothing but its place: one that is silent, slow, broken or too many is closed, and what it does not read is
 * dropped. What the commands answer is the handlers' affair.
 */
import {
  controlConnectionsMax,
  controlKeepPeriodMs,
  controlLineBytesMax,
  controlRequestBytesMax,
  controlRequestTimeoutMs,
  controlStalledMs,
  controlUnsentBytesMax,
} from '../limits.js';
import type { Clock, Timer } from '../os/clock.js';
import type { Log } from '../os/log.js';
import type { LocalListener, PathSockets, Stream, StreamEvents } from '../os/network.js';
import { toEach } from '../scheduling/each.js';
import {
  ControlError,
  type ControlFailure,
  type ControlReply,
  type ControlRequest,
  controlLine,
  controlProtocol,
  LineReader,
  readControlRequest,
} from './protocol.js';

/** One client that gets its answer. After `end`, `fail`, or once the client is gone, further calls do nothing. */
export interface Answering {
  /** Sends a value, as JSON. False: it is dropped, because the client reads too slowly or is gone. */
  item(value: unknown): boolean;
  /** Calls `run` once when the client is gone before its answer has ended; at once if it is gone. */
  whenGone(run: () => void): void;
  end(): void;
  /** Ends with one sentence: what happened and what to change. */
  fail(kind: ControlFailure, sentence: string): void;
}

/** Answers one command; may do so later, and throw or reject with a ControlError. Other errors are bugs. */
export type ControlHandler = (given: ControlRequest['arguments'], answering: Answering) => void | Promise<void>;

/** `read` turns what the client has sent into the command's arguments, or throws a ControlError. */
export function controlHandler<Wanted>(
  read: (given: ControlRequest['arguments']) => Wanted,
  answer: (wanted: Wanted, answering: Answering) => void | Promise<void>,
): ControlHandler {
  return (given, answering) => answer(read(given), answering);
}

export interface ControlServerDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly sockets: PathSockets;
  readonly path: string;
  readonly version: string;
  readonly pid: number;
  /** By the command's name. */
  readonly handlers: Readonly<Record<string, ControlHandler>>;
  /** For exceptions in handlers, which are bugs of ours. */
  panicked(): void;
}

export class ControlServer {
  readonly #deps: ControlServerDeps;
  readonly #connections = new Set<ControlConnection>();
  #listener: LocalListener | null = null;
  /** The path is ours to take. */
  #isOwner = false;
  /** Said once, until it works again. */
  #hasComplained = false;
  #keeper: Timer | null = null;
  #sweep: Timer | null = null;

  constructor(deps: ControlServerDeps) {
    this.#deps = deps;
  }

  /** Takes the path from any other instance, and keeps it. What goes wrong is a warning in the log. */
  async take(): Promise<void> {
    this.#isOwner = true;
    this.#keeper ??= this.#deps.clock.every(controlKeepPeriodMs, () => void this.#keep());
    await this.#listen();
  }

  /** Leaves the path to another instance; clients that are being answered stay. */
  release(): void {
    this.#isOwner = false;
    this.#keeper?.stop();
    this.#keeper = null;
    this.#listener?.close();
    this.#listener = null;
  }

  /** Releases the path and closes all connections. */
  end(): void {
    this.release();
    toEach([...this.#connections], (each) => each.close());
  }

  async #listen(): Promise<void> {
    const { log, path, sockets } = this.#deps;
    try {
      const listener = await sockets.listen(path, (stream) => this.#accept(stream));
      this.#listener?.close();
      this.#listener = listener;
      if (!this.#isOwner) this.release();
      this.#hasComplained = false;
    } catch (error) {
      if (this.#hasComplained) return;
      this.#hasComplained = true;
      const remedy = 'make its folder writable for zerohop, or give -control another path, or none';
      log.warn(`control socket unavailable, commands cannot ask this instance: ${(error as Error).message}; ${remedy}`);
    }
  }

  /** Another program may have removed the path; another instance that has it keeps it. */
  async #keep(): Promise<void> {
    if (this.#listener?.isInPlace()) return;
    try {
      const stream = await this.#deps.sockets.connect(this.#deps.path, { data() {}, ended() {}, closed() {} });
      stream.destroy();
    } catch {
      if (this.#isOwner) await this.#listen();
    }
  }

  #accept(stream: Stream): StreamEvents {
    const { clock, version, pid } = this.#deps;
    const connection = new ControlConnection(stream, {
      clock,
      answer: (request) => this.#answer(request, connection),
      closed: () => this.#closed(connection),
    });
    const beside = this.#connections.size;
    this.#connections.add(connection);
    this.#sweep ??= clock.every(controlRequestTimeoutMs, () => this.#closeIdle());
    // So many are told that they are too many; of more, nothing is kept.
    if (beside >= 2 * controlConnectionsMax) connection.close();
    else stream.write(controlLine({ protocol: controlProtocol, version, pid }));
    if (beside >= controlConnectionsMax) connection.fail('busy', busySentence);
    return connection.events;
  }

  #answer({ command, arguments: given }: ControlRequest, connection: ControlConnection): void {
    const { handlers, version } = this.#deps;
    if (!Object.hasOwn(handlers, command)) {
      const remedy = 'use the program of that version';
      return connection.fail('unknown', `zerohop ${version}, which is running, does not know this command; ${remedy}.`);
    }
    try {
      Promise.resolve(handlers[command](given, connection)).catch((error) => this.#failed(error, connection));
    } catch (error) {
      this.#failed(error, connection);
    }
  }

  #failed(error: unknown, connection: ControlConnection): void {
    if (error instanceof ControlError) return connection.fail(error.kind, error.message);
    this.#deps.panicked();
    this.#deps.log.error('a control command failed', { error: String((error as Error).stack) });
    connection.fail('failed', 'the running zerohop has failed to answer, which is a bug; its log has the stack.');
  }

  #closeIdle(): void {
    const nowMs = this.#deps.clock.nowMs();
    toEach([...this.#connections], (each) => each.closeIfIdle(nowMs));
  }

  #closed(connection: ControlConnection): void {
    this.#connections.delete(connection);
    if (this.#connections.size > 0) return;
    this.#sweep?.stop();
    this.#sweep = null;
  }
}

const busySentence = `${controlConnectionsMax} commands are asking this instance already; end one of them, or try again.`;

interface ControlConnectionDeps {
  readonly clock: Clock;
  answer(request: ControlRequest): void;
  closed(): void;
}

/**
 *   reading ──a request──> answering ──end, fail──> ending ──all is read──> closed
 *      └────────────────── broken, silent, gone ──────────────────────────────┘
 */
class ControlConnection implements Answering {
  readonly events: StreamEvents;
  readonly #stream: Stream;
  readonly #deps: ControlConnectionDeps;
  readonly #lines = new LineReader(controlRequestBytesMax);
  #state: 'reading' | 'answering' | 'ending' | 'closed' = 'reading';
  /** When it connected, or last read something of what waits for it. */
  #movedAtMs: number;
  #unsentBytes = 0;
  #whenGone: (() => void)[] = [];

  constructor(stream: Stream, deps: ControlConnectionDeps) {
    this.#stream = stream;
    this.#deps = deps;
    this.#movedAtMs = deps.clock.nowMs();
    this.events = {
      data: (bytes) => this.#read(bytes),
      ended: () => {
        if (this.#state !== 'ending') this.close();
      },
      closed: () => this.#over(),
    };
  }

  item(value: unknown): boolean {
    if (this.#state !== 'answering') return false;
    const line = controlLine({ type: 'item', item: value });
    if (line.length > controlLineBytesMax) {
      const sentence = `the answer has ${line.length} bytes, more than the ${controlLineBytesMax} that a client takes.`;
      this.fail('failed', sentence);
      return false;
    }
    const { unsentBytes } = this.#stream;
    if (unsentBytes > 0 && unsentBytes + line.length > controlUnsentBytesMax) return false;
    this.#stream.write(line);
    return true;
  }

  whenGone(run: () => void): void {
    if (this.#state === 'closed') run();
    else if (this.#state !== 'ending') this.#whenGone.push(run);
  }

  end(): void {
    this.#finish({ type: 'end' });
  }

  fail(kind: ControlFailure, sentence: string): void {
    this.#finish({ type: 'error', kind, sentence });
  }

  close(): void {
    if (this.#state === 'closed') return;
    this.#stream.destroy();
    this.#over();
  }

  /** Closes a client that sends no request, or reads nothing of what it gets. */
  closeIfIdle(nowMs: number): void {
    const { unsentBytes } = this.#stream;
    if (this.#state !== 'reading' && (unsentBytes === 0 || unsentBytes < this.#unsentBytes)) this.#movedAtMs = nowMs;
    this.#unsentBytes = unsentBytes;
    const idleMs = nowMs - this.#movedAtMs;
    const isLate = idleMs >= (this.#state === 'answering' ? controlStalledMs : controlRequestTimeoutMs);
    if (isLate || (this.#state === 'ending' && unsentBytes === 0)) this.close();
  }

  #read(bytes: Uint8Array): void {
    // What comes behind the request is nothing of ours.
    if (this.#state !== 'reading') return;
    const lines = this.#lines.read(bytes);
    if (lines === null) return this.fail('request', `a request has at most ${controlRequestBytesMax} bytes.`);
    if (lines.length === 0) return;
    const request = readControlRequest(lines[0]);
    if (request === null) return this.fail('request', 'a request is one line of JSON with a command.');
    this.#state = 'answering';
    this.#movedAtMs = this.#deps.clock.nowMs();
    this.#deps.answer(request);
  }

  #finish(reply: ControlReply): void {
    if (this.#state === 'ending' || this.#state === 'closed') return;
    this.#state = 'ending';
    this.#whenGone = [];
    this.#movedAtMs = this.#deps.clock.nowMs();
    this.#stream.write(controlLine(reply));
    this.#stream.end();
  }

  #over(): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    const told = this.#whenGone;
    this.#whenGone = [];
    this.#deps.closed();
    toEach(told, (run) => run());
  }
}
