/**
 * What workers decide in their tests: the packet's first letter says what becomes of it. `a` is answered
 * with what follows and the table, `h` is handed over, `r` is answered and due for a refresh, `t` throws, `x` ends
 * the thread in the middle of a batch, `d` is dropped, `o` is answered, and telling of it throws.
 */
import type { Slot } from '../../src/dns/answer.js';
import type { Received } from '../../src/listen/message-batch.js';
import type { Decide } from '../../src/listen/worker-loop.js';

export function letters(died: () => never): Decide<string> {
  let isDue = false;
  let isOdd = false;
  const say = (slot: Slot, text: string): number => {
    slot.bytes.set(Buffer.from(text, 'latin1'));
    return text.length;
  };
  return {
    answer(table: string, { packet, length }: Received, slot: Slot): number {
      const text = Buffer.from(packet.subarray(0, length)).toString('latin1');
      isDue = text[0] === 'r';
      isOdd = text[0] === 'o';
      if (text[0] === 'h') return -1;
      if (text[0] === 't') throw new Error('a letter that throws');
      if (text[0] === 'x') died();
      if (text[0] === 'd') return 0;
      return say(slot, `${text.slice(1)} by ${table}`);
    },
    refreshDue: () => isDue,
    origin() {
      if (isOdd) throw new Error('an odd letter');
      return 'hit';
    },
    overloaded: ({ packet, length }, slot) => say(slot, `no room for ${Buffer.from(packet.subarray(1, length))}`),
  };
}
