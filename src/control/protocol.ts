/**
 * What a command and the running zerohop say to each other over the control socket: lines of JSON. The server greets, the
 * client sends one request, the server answers with items and then an end or an error, and closes. Either side may have
 * another version, be broken or hostile: what is not understood is null here, and its reader closes the connection.
 * docs/PROTOCOL.md describes the conversation.
 */

/** Changes when a client and a server of different versions would misunderstand each other. */
export const controlProtocol = 1;

/** The server's first line; these fields keep their meaning in all versions. */
export interface ControlGreeting {
  readonly protocol: number;
  readonly version: string;
  readonly pid: number;
}

export interface ControlRequest {
  readonly command: string;
  readonly arguments: Readonly<Record<string, unknown>>;
}

/**
 * Why there is no answer. `busy`: too many clients. `usage`: the command's arguments are wrong. `request`: the request is
 * none. `unknown`: another version may know the command. `failed`: anything else.
 */
const controlFailures = ['busy', 'usage', 'request', 'unknown', 'failed'] as const;
export type ControlFailure = (typeof controlFailures)[number];

export type ControlReply =
  | { readonly type: 'item'; readonly item: unknown }
  | { readonly type: 'end' }
  /** One sentence: what happened and what to change. */
  | { readonly type: 'error'; readonly kind: ControlFailure; readonly sentence: string };

/** The refusal of a request, thrown by what reads its arguments or answers it. */
export class ControlError extends Error {
  constructor(
    readonly kind: ControlFailure,
    /** One sentence: what happened and what to change. */
    sentence: string,
  ) {
    super(sentence);
  }
}

/** One message with its line end. */
export function controlLine(message: ControlGreeting | ControlRequest | ControlReply): Buffer {
  return Buffer.from(`${JSON.stringify(message)}\n`);
}

export function readControlGreeting(line: string): ControlGreeting | null {
  const value = readJsonRecord(line);
  const { protocol, version, pid } = value ?? {};
  if (typeof version !== 'string' || version.length > 100) return null;
  return isCount(protocol) && isCount(pid) ? { protocol, version, pid } : null;
}

export function readControlRequest(line: string): ControlRequest | null {
  const value = readJsonRecord(line);
  const given = value?.['arguments'] ?? {};
  return typeof value?.['command'] === 'string' && isRecordOfJson(given)
    ? { command: value['command'], arguments: given }
    : null;
}

export function readControlReply(line: string): ControlReply | null {
  const value = readJsonRecord(line);
  switch (value?.['type']) {
    case 'item':
      return { type: 'item', item: value['item'] ?? null };
    case 'end':
      return { type: 'end' };
    case 'error': {
      const { kind, sentence } = value;
      if (typeof sentence !== 'string') return null;
      return { type: 'error', kind: controlFailures.find((each) => each === kind) ?? 'failed', sentence };
    }
    default:
      return null;
  }
}

function readJsonRecord(line: string): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(line);
    return isRecordOfJson(value) ? value : null;
  } catch {
    return null;
  }
}

function isRecordOfJson(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

const newline = 0x0a;

/** Cuts a stream into lines of at most `bytesMax` bytes. */
export class LineReader {
  readonly #bytesMax: number;
  /** Parts of a line whose end has yet to come. */
  #parts: Buffer[] = [];
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** The lines that are complete now, without their ends; null when one is too long. Borrows the bytes. */
  read(bytes: Uint8Array): string[] | null {
    const lines: string[] = [];
    let at = 0;
    for (;;) {
      const end = bytes.indexOf(newline, at);
      const part = bytes.subarray(at, end < 0 ? bytes.length : end);
      if (this.#bytes + part.length > this.#bytesMax) return null;
      if (end < 0) {
        if (part.length > 0) this.#parts.push(Buffer.from(part));
        this.#bytes += part.length;
        return lines;
      }
      lines.push(Buffer.concat([...this.#parts, part]).toString());
      this.#parts = [];
      this.#bytes = 0;
      at = end + 1;
    }
  }
}
