/**
 * DNS over TCP as the tests' peers speak it (RFC 1035 4.2.2), written apart from the program's so that one checks
 * the other.
 */

/** A message with its length before it. */
export function framed(message: Uint8Array): Buffer {
  const frame = Buffer.alloc(2 + message.length);
  frame.writeUInt16BE(message.length);
  frame.set(message, 2);
  return frame;
}

/** Collects chunks and gives the messages that are complete; `rest` is what is left. */
export class Unframer {
  rest = Buffer.alloc(0);

  push(chunk: Uint8Array): Buffer[] {
    this.rest = Buffer.concat([this.rest, chunk]);
    const messages: Buffer[] = [];
    while (this.rest.length >= 2 && this.rest.length >= 2 + this.rest.readUInt16BE()) {
      const end = 2 + this.rest.readUInt16BE();
      messages.push(this.rest.subarray(2, end));
      this.rest = this.rest.subarray(end);
    }
    return messages;
  }
}
