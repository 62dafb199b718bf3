/**
 * A terminal as a screen that a program fills: its own page, which leaves the text before it as it was, keys one by one,
 * and everything put back at the end, however the program ends.
 */
import { screenUnsentBytesMax } from '../limits.js';

export interface Screen {
  readonly columns: number;
  readonly rows: number;
  /** Replaces what is there; lines do not wrap. Left out while the terminal has much to read. */
  draw(lines: readonly string[]): void;
  /** Puts everything back; may be called again. */
  close(): void;
}

interface ScreenEvents {
  /** A character as it was typed; Ctrl-C is `\x03`. */
  key(character: string): void;
  resized(): void;
  /** The terminal is no longer there. */
  gone(): void;
}

interface Terminal {
  readonly input: NodeJS.ReadStream;
  readonly output: NodeJS.WriteStream;
  /** Calls `last` at the end of the process. */
  atExit(last: () => void): void;
}

// Of xterm and all that are like it: another page, no cursor, no wrapping.
const enterPage = '\x1b[?1049h\x1b[?25l\x1b[?7l';
const leavePage = '\x1b[?7h\x1b[?25h\x1b[?1049l';
const home = '\x1b[H';
const clearLine = '\x1b[K';
const clearBelow = '\x1b[J';

/** What a terminal has that does not tell its size. */
const usualSize = { columns: 80, rows: 24 };

export function openScreen({ input, output, atExit }: Terminal, events: ScreenEvents): Screen {
  let isOpen = true;
  const typed = (bytes: Buffer): void => {
    for (const character of bytes.toString('latin1')) if (isOpen) events.key(character);
  };
  const resized = (): void => events.resized();
  const gone = (): void => events.gone();

  function close(): void {
    if (!isOpen) return;
    isOpen = false;
    output.off('resize', resized);
    if (input.isTTY) input.setRawMode(false);
    input.off('data', typed);
    input.pause();
    output.write(leavePage);
  }

  output.write(enterPage);
  output.on('resize', resized);
  // For good: what is written at the end may fail as well.
  output.on('error', gone);
  input.on('error', gone);
  // Without a terminal for keys, Ctrl-C is a signal.
  if (input.isTTY) {
    input.setRawMode(true);
    input.on('data', typed);
    input.resume();
  }
  atExit(close);
  return {
    get columns() {
      return output.columns || usualSize.columns;
    },
    get rows() {
      return output.rows || usualSize.rows;
    },
    draw(lines) {
      if (!isOpen || output.writableLength > screenUnsentBytesMax) return;
      const shown = lines.slice(0, output.rows || usualSize.rows);
      output.write(`${home}${shown.map((line) => `${line}${clearLine}`).join('\r\n')}${clearBelow}`);
    },
    close,
  };
}
