/**
 * The command's side of the control socket: asks the running zerohop once. Whatever is wrong there, the socket included,
 * comes out as one sentence that says what to do.
 */
import { controlLineBytesMax, controlSilenceMs } from '../limits.js';
import type { Clock, Timer } from '../os/clock.js';
import type { PathSockets, Stream } from '../os/network.js';
import {
  type ControlFailure,
  type ControlGreeting,
  type ControlRequest,
  controlLine,
  controlProtocol,
  LineReader,
  readControlGreeting,
  readControlReply,
} from './protocol.js';

interface ControlClientDeps {
  readonly clock: Clock;
  readonly sockets: PathSockets;
  /** `-control`. */
  readonly path: string;
  /** Of this program. */
  readonly version: string;
}

interface ControlQuestion extends ControlRequest {
  /** How long the server may take from one line to the next; null: as long as it likes, once it has greeted. */
  readonly silenceMsMax?: number | null;
  item(value: unknown): void;
}

export type ControlOutcome =
  | { readonly ok: true; readonly server: ControlGreeting }
  /** `missing`: nobody is there. `foreign`: another user's. `version`: another protocol. The rest is the server's. */
  | { readonly ok: false; readonly why: 'missing' | 'foreign' | 'version' | ControlFailure; readonly sentence: string };

interface ControlAnswer {
  /** Never rejects. */
  readonly outcome: Promise<ControlOutcome>;
  /** Gives up; the outcome is then that of an orderly end. */
  stop(): void;
}

/** Sends one request; `item` gets the values of the answer as they come. */
export function askControl(deps: ControlClientDeps, question: ControlQuestion): ControlAnswer {
  const conversation = new Conversation(deps, question);
  return { outcome: conversation.outcome, stop: () => conversation.stop() };
}

class Conversation {
  readonly outcome: Promise<ControlOutcome>;
  readonly #deps: ControlClientDeps;
  readonly #question: ControlQuestion;
  readonly #lines = new LineReader(controlLineBytesMax);
  #settle: (outcome: ControlOutcome) => void = () => {};
  #server: ControlGreeting | null = null;
  #stream: Stream | null = null;
  #silence: Timer;
  #isOver = false;

  constructor(deps: ControlClientDeps, question: ControlQuestion) {
    this.#deps = deps;
    this.#question = question;
    this.outcome = new Promise((resolve) => {
      this.#settle = resolve;
    });
    this.#silence = this.#newSilence(controlSilenceMs);
    void this.#connect();
  }

  stop(): void {
    this.#end({ ok: true, server: this.#server ?? { protocol: controlProtocol, version: '', pid: 0 } });
  }

  async #connect(): Promise<void> {
    const { sockets, path } = this.#deps;
    const closed = (): void => this.#fail('failed', `the zerohop at ${path} has closed the connection; try again.`);
    const events = { data: (bytes: Uint8Array) => this.#read(bytes), ended: closed, closed };
    try {
      this.#stream = await sockets.connect(path, events);
      if (this.#isOver) this.#stream.destroy();
    } catch (error) {
      const { why, sentence } = connectFailure(path, error as NodeJS.ErrnoException);
      this.#fail(why, sentence);
    }
  }

  #read(bytes: Uint8Array): void {
    const lines = this.#lines.read(bytes);
    if (lines === null) return this.#failToUnderstand();
    for (const line of lines) {
      if (this.#isOver) return;
      if (this.#server === null) this.#greeted(line);
      else this.#answered(line);
    }
  }

  #greeted(line: string): void {
    const { command, arguments: given, silenceMsMax = controlSilenceMs } = this.#question;
    const { path, version } = this.#deps;
    const greeting = readControlGreeting(line);
    if (greeting === null) return this.#failToUnderstand();
    if (greeting.protocol !== controlProtocol) {
      const [theirs, ours] = [greeting.version, version].map((each) => `zerohop ${each}`);
      const what = `${theirs} runs at ${path} and does not understand ${ours}`;
      return this.#fail('version', `${what}; use the program of the running version.`);
    }
    this.#server = greeting;
    this.#stream?.write(controlLine({ command, arguments: given }));
    this.#silence.stop();
    if (silenceMsMax !== null) this.#silence = this.#newSilence(silenceMsMax);
  }

  #answered(line: string): void {
    const reply = readControlReply(line);
    const { item, silenceMsMax = controlSilenceMs } = this.#question;
    switch (reply?.type) {
      case 'item':
        this.#silence.stop();
        if (silenceMsMax !== null) this.#silence = this.#newSilence(silenceMsMax);
        return item(reply.item);
      case 'end':
        return this.#end({ ok: true, server: this.#server! });
      case 'error':
        return this.#fail(reply.kind, reply.sentence);
      default:
        return this.#failToUnderstand();
    }
  }

  #newSilence(ms: number): Timer {
    const { clock, path } = this.#deps;
    const remedy = 'it may hang or the node be overloaded; try again, and look at its log';
    return clock.after(ms, () => {
      this.#fail('failed', `the zerohop at ${path} has not answered for ${ms / 1_000} s; ${remedy}.`);
    });
  }

  #failToUnderstand(): void {
    const what = `what listens at ${this.#deps.path} does not speak as zerohop's control socket does`;
    this.#fail('version', `${what}; name the right socket with -control.`);
  }

  #fail(why: Extract<ControlOutcome, { ok: false }>['why'], sentence: string): void {
    this.#end({ ok: false, why, sentence });
  }

  #end(outcome: ControlOutcome): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#silence.stop();
    this.#stream?.destroy();
    this.#settle(outcome);
  }
}

function connectFailure(
  path: string,
  { code = '', message }: NodeJS.ErrnoException,
): Pick<Extract<ControlOutcome, { ok: false }>, 'why' | 'sentence'> {
  switch (code) {
    case 'ENOENT':
    case 'ENOTDIR':
    case 'ECONNREFUSED': {
      const remedy = 'start zerohop, or give the path of its socket with -control';
      return { why: 'missing', sentence: `no zerohop listens at ${path}; ${remedy}.` };
    }
    case 'EACCES':
    case 'EPERM':
      return { why: 'foreign', sentence: `${path} is another user's; run the command as the user that runs zerohop.` };
    case 'EAGAIN':
      return { why: 'busy', sentence: `too many commands are asking the zerohop at ${path}; try again.` };
    default:
      return { why: 'failed', sentence: `cannot connect to ${path}: ${message}.` };
  }
}
