/**
 * The commands that ask the running zerohop, as a process: sockets, the terminal, and exit codes. What the answers look
 * like is the affair of control/.
 */
import type { AskOptions, RunningQuestion } from '../config/ask-options.js';
import { programVersion } from '../config/version.js';
import { askListener, type ListenerAnswer, type ListenerAskDeps } from '../control/ask-listener.js';
import { askControl, type ControlOutcome } from '../control/client.js';
import { type ExplainItem, explainText } from '../control/explain.js';
import { type FlushItem, flushText } from '../control/flush.js';
import { type LookupItem, lookupText } from '../control/lookup.js';
import { wireQuestion } from '../control/serving.js';
import { type StatusItem, statusText } from '../control/status.js';
import { asciiJson, printable, type TextStyle } from '../control/text.js';
import { typeNumber } from '../dns/names.js';
import { controlSilenceMs, flushSilenceMs } from '../limits.js';
import { stayAlive, systemClock } from '../os/clock.js';
import { nodeNetwork } from '../os/node-network.js';
import { systemRandom } from '../os/random.js';
import { wantsColor } from '../os/terminal.js';
import { commandSockets } from './control-handlers.js';

export interface AskingProgram {
  readonly environment: Readonly<Record<string, string | undefined>>;
  print(line: string): void;
}

const exitOfUsage = 2;
/** Increases when a field is removed or changes its meaning. */
export const jsonSchema = 1;

/** Asks once, and prints the answer; the sentence and the exit code where that does not go well. */
export async function askRunning(
  { print, environment }: AskingProgram,
  question: RunningQuestion,
  { controlPath: path, output }: AskOptions,
): Promise<{ readonly exitCode: number; readonly sentence: string } | null> {
  const alive = stayAlive();
  const clock = systemClock();
  const random = systemRandom();
  const sockets = commandSockets(environment);
  const style: TextStyle = { isColored: wantsColor(1, environment) };
  const { command, ...given } = question;
  const items: unknown[] = [];
  const { outcome } = askControl(
    { clock, sockets, path, version: programVersion() },
    {
      command,
      arguments: given,
      item: (item) => void items.push(item),
      silenceMsMax: command === 'flush' ? flushSilenceMs : controlSilenceMs,
    },
  );
  const result = await outcome;
  const write = output === 'json' ? jsonOf : commandText;
  try {
    for (const item of items) {
      const asked = await askedToo(question, item, { clock, random });
      print(write(command, asked === null ? item : { ...(item as LookupItem), asked }, style));
    }
  } catch {
    return { exitCode: 1, sentence: `the zerohop at ${path} answers in a form of another version; use its program.` };
  } finally {
    alive.stop();
  }
  return result.ok ? null : failureOf(result);
}

function jsonOf(_command: RunningQuestion['command'], item: unknown): string {
  return asciiJson({ schema: jsonSchema, ...(item as object) });
}

export function failureOf({ why, sentence }: Extract<ControlOutcome, { ok: false }>): {
  exitCode: number;
  sentence: string;
} {
  return { exitCode: why === 'usage' ? exitOfUsage : 1, sentence: printable(sentence) };
}

/** For `lookup -ask`; null: nobody wants it, or nothing is served. */
async function askedToo(
  question: RunningQuestion,
  item: unknown,
  { clock, random }: Omit<ListenerAskDeps, 'network'>,
): Promise<ListenerAnswer | null> {
  if (question.command !== 'lookup' || !question.isAsked) return null;
  const { ask } = item as LookupItem;
  const wire = wireQuestion(question.name, typeNumber(question.type) ?? 0);
  if (ask === null || wire === null) return null;
  const network = nodeNetwork({ sendFailed() {}, acceptFailed() {} });
  return askListener({ network, clock, random }, ask, wire);
}

/** The server is of the same protocol, so its items are of these forms. */
function commandText(command: RunningQuestion['command'], item: unknown, style: TextStyle): string {
  switch (command) {
    case 'status':
      return statusText(item as StatusItem, style);
    case 'lookup':
      return lookupText(item as LookupItem, style);
    case 'explain':
      return explainText(item as ExplainItem, style);
    case 'flush':
      return flushText(item as FlushItem);
  }
}
