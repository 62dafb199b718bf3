/**
 * The commands that watch the running zerohop, as a process: `tail` writes lines until it is ended, `top` fills the screen
 * of a terminal. A signal, the end of zerohop, and a closed pipe all end them in order.
 */
import type { AskOptions } from '../config/ask-options.js';
import { programVersion } from '../config/version.js';
import type { TailWishes } from '../config/watch-options.js';
import { askControl, type ControlOutcome } from '../control/client.js';
import type { TailItem } from '../control/tail-serving.js';
import { tailLine, untoldText } from '../control/tail-text.js';
import { asciiJson, textColumns } from '../control/text.js';
import { topScreen } from '../control/top-screen.js';
import type { TopItem } from '../control/top-serving.js';
import { stayAlive, systemClock } from '../os/clock.js';
import { openScreen, type Screen } from '../os/screen.js';
import { isTerminal, wantsColor } from '../os/terminal.js';
import { type AskingProgram, failureOf, jsonSchema } from './ask-running.js';
import { commandSockets } from './control-handlers.js';

interface WatchingProgram extends AskingProgram {
  /** On stderr. */
  complain(line: string): void;
  /** Calls `ended` at Ctrl-C and the like, in place of an end at once. */
  onInterrupt(ended: () => void): void;
}

type Failed = ReturnType<typeof failureOf> | null;

/** Writes lines until `-for` is over or Ctrl-C; the sentence and the exit code where that does not go well. */
export async function tailRunning(
  program: WatchingProgram,
  { filter, forMs }: TailWishes,
  options: AskOptions,
): Promise<Failed> {
  const { print, complain, environment } = program;
  const isSeen = isTerminal(1);
  const style = {
    isColored: wantsColor(1, environment),
    get columns() {
      return isSeen ? process.stdout.columns || textColumns : Number.POSITIVE_INFINITY;
    },
  };
  const stop = { now: (): void => {} };
  const outcome = askWatched({ ...program, stop }, options, 'tail', { ...filter }, (value) => {
    const item = value as TailItem;
    const left = untoldText(item);
    if (options.output === 'json') {
      for (const query of item.queries) print(JSON.stringify({ schema: jsonSchema, ...query }));
      if (left !== '') print(JSON.stringify({ schema: jsonSchema, untold: item.untold }));
      return;
    }
    for (const query of item.queries) print(tailLine(query, style));
    if (left !== '') complain(left);
  });
  if (forMs !== null) systemClock().after(forMs, () => stop.now());
  return failedIn(await outcome);
}

/** Fills the screen until q or Ctrl-C, or prints one reading; the sentence and the exit code where that does not go well. */
export async function topRunning(
  program: WatchingProgram,
  shows: 'screen' | 'once',
  options: AskOptions,
): Promise<Failed> {
  const isScreen = shows === 'screen' && options.output === 'text' && isTerminal(1);
  const isColored = wantsColor(1, program.environment);
  const stop = { now: (): void => {} };
  let screen: Screen | null = null;
  let latest: TopItem | null = null;

  function draw(): void {
    if (screen === null || latest === null) return;
    screen.draw(topScreen(latest, { isColored, columns: screen.columns, rows: screen.rows }));
  }

  const outcome = askWatched({ ...program, stop }, options, 'top', {}, (value) => {
    latest = value as TopItem;
    if (isScreen) {
      // Not before there is something to see: an error is a line in the usual text.
      screen ??= openScreen(terminal(), {
        key: (character) => endKeys.includes(character) && stop.now(),
        resized: draw,
        gone: () => stop.now(),
      });
      return draw();
    }
    const onceStyle = { isColored, columns: textColumns, rows: Number.POSITIVE_INFINITY };
    program.print(
      options.output === 'json'
        ? asciiJson({ schema: jsonSchema, ...latest })
        : topScreen(latest, onceStyle).join('\n'),
    );
    stop.now();
  });
  const result = await outcome;
  (screen as Screen | null)?.close();
  return failedIn(result);
}

/** q, Ctrl-C and Ctrl-D. */
const endKeys = ['q', 'Q', '\x03', '\x04'];

function terminal(): Parameters<typeof openScreen>[0] {
  return { input: process.stdin, output: process.stdout, atExit: (last) => void process.on('exit', last) };
}

interface Stoppable extends WatchingProgram {
  /** Its `now` ends the asking, once that has begun. */
  readonly stop: { now: () => void };
}

async function askWatched(
  { environment, onInterrupt, stop }: Stoppable,
  { controlPath: path }: AskOptions,
  command: string,
  given: Readonly<Record<string, unknown>>,
  item: (value: unknown) => void,
): Promise<ControlOutcome> {
  const alive = stayAlive();
  const sockets = commandSockets(environment);
  const deps = { clock: systemClock(), sockets, path, version: programVersion() };
  const answer = askControl(deps, { command, arguments: given, item });
  stop.now = () => answer.stop();
  onInterrupt(() => answer.stop());
  const outcome = await answer.outcome;
  alive.stop();
  return outcome;
}

function failedIn(outcome: ControlOutcome): Failed {
  return outcome.ok ? null : failureOf(outcome);
}
