/**
 * A collector of Frame Streams on the network in memory, and what reads dnstap's Protocol Buffers: by the schema of
 * dnstap.info, and by no code of ours.
 */
import type { Endpoint, Network, Stream } from '../../src/os/network.js';

/** A field's values by its number: numbers, or bytes. */
export type Fields = Readonly<Record<number, readonly (number | Buffer)[]>>;

/** Takes a message apart. Throws an Error where it is none. */
export function fieldsOf(bytes: Buffer): Fields {
  const fields: Record<number, (number | Buffer)[]> = {};
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      const byte = bytes[at++];
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return value;
    }
  };
  while (at < bytes.length) {
    const tag = varint();
    fields[tag >> 3] ??= [];
    const values = fields[tag >> 3];
    if ((tag & 7) === 0) values.push(varint());
    else if ((tag & 7) === 2) {
      const length = varint();
      values.push(bytes.subarray(at, at + length));
      at += length;
    } else if ((tag & 7) === 5) {
      values.push(bytes.readUInt32LE(at));
      at += 4;
    } else throw new Error(`wire type ${tag & 7}`);
  }
  if (at !== bytes.length) throw new Error('the last field is cut');
  return fields;
}

/** What one connection has said, frame by frame; control frames by their names. */
export class Collector {
  /** `READY protobuf:…`, `START …`, `STOP`. */
  readonly controls: string[] = [];
  readonly frames: Buffer[] = [];
  /** Who connected last. */
  stream: Stream | null = null;
  connections = 0;
  isClosed = false;
  /** What it answers READY with; null: nothing. */
  greeting: Buffer | null = controlFrame(1, 'protobuf:dnstap.Dnstap');
  #received: Buffer = Buffer.alloc(0);
  #close: () => void = () => {};

  async listen(network: Network, at: Endpoint): Promise<this> {
    const listener = await network.listenStreams(at, (stream) => {
      this.stream = stream;
      this.connections++;
      this.isClosed = false;
      this.#received = Buffer.alloc(0);
      return {
        data: (bytes) => this.take(bytes),
        ended: () => stream.end(),
        closed: () => {
          this.isClosed = true;
        },
      };
    });
    this.#close = () => listener.close();
    return this;
  }

  /** Nobody listens any more, and the connection is gone. */
  stop(): void {
    this.#close();
    this.stream?.destroy();
  }

  /** Takes bytes that have come, and greets back. */
  take(bytes: Uint8Array): void {
    this.#received = Buffer.concat([this.#received, bytes]);
    for (;;) {
      const length = this.#received.length < 4 ? -1 : this.#received.readUInt32BE(0);
      const isControl = length === 0 && this.#received.length >= 8;
      const end = isControl ? 8 + this.#received.readUInt32BE(4) : 4 + length;
      if (length < 0 || (length === 0 && !isControl) || this.#received.length < end) return;
      const whole = this.#received.subarray(0, end);
      this.#received = Buffer.from(this.#received.subarray(end));
      if (isControl) this.#control(whole.subarray(8));
      else this.frames.push(Buffer.from(whole.subarray(4)));
    }
  }

  #control(content: Buffer): void {
    const names: Readonly<Record<number, string>> = { 2: 'START', 3: 'STOP', 4: 'READY' };
    const name = names[content.readUInt32BE(0)] ?? 'unknown';
    this.controls.push(`${name} ${content.subarray(12).toString()}`.trim());
    if (name === 'READY' && this.greeting !== null) this.stream?.write(this.greeting);
  }
}

/** A file of these frames, as fstrm writes it. */
export function framesFile(frames: readonly Buffer[]): Buffer {
  const data = frames.flatMap((frame) => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(frame.length);
    return [length, frame];
  });
  return Buffer.concat([controlFrame(2, 'protobuf:dnstap.Dnstap'), ...data, controlFrame(3, null)]);
}

export function controlFrame(number: number, contentType: string | null): Buffer {
  const type = Buffer.from(contentType ?? '');
  const bytes = Buffer.alloc(contentType === null ? 12 : 20);
  bytes.writeUInt32BE(bytes.length - 8 + type.length, 4);
  bytes.writeUInt32BE(number, 8);
  if (contentType !== null) {
    bytes.writeUInt32BE(1, 12);
    bytes.writeUInt32BE(type.length, 16);
  }
  return Buffer.concat([bytes, type]);
}
