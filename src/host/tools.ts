/** Runs the node's programs within common bounds, and classifies their failures. */
import { commandOutputBytesMax, commandTimeoutMs } from '../limits.js';
import type { Command, CommandEnd, RunCommand } from '../os/commands.js';

/** Failures of the set-up, in node-cache's words. */
export const setupErrors = ['configmap', 'iptables', 'iptables_lock', 'interface_add', 'interface_check'] as const;
export type SetupError = (typeof setupErrors)[number];

/** A sentence, and its label in coredns_nodecache_setup_errors_total. The keeper catches it. */
export class HostError extends Error {
  constructor(
    readonly errortype: SetupError,
    message: string,
  ) {
    super(message);
  }
}

type ToolCall = Pick<Command, 'program' | 'parameters' | 'input' | 'keep'>;

export function runTool(run: RunCommand, call: ToolCall): Promise<CommandEnd> {
  return run({ ...call, timeoutMs: commandTimeoutMs, outputBytesMax: commandOutputBytesMax });
}

/** The standard output of a program that must succeed; otherwise throws a HostError of this type. */
export async function mustRun(run: RunCommand, errortype: SetupError, call: ToolCall): Promise<string> {
  const end = await runTool(run, call);
  if (end.ran && end.status === 0) return end.stdout;
  throw new HostError(errortype, failureText(call, end));
}

export function failureText({ program, parameters }: ToolCall, end: CommandEnd): string {
  if (!end.ran) return end.text;
  const said = end.stderr.split('\n').filter((line) => line.trim() !== '' && !line.startsWith('# Warning'));
  const shown = [program, ...parameters].join(' ');
  return `${shown} exited with ${end.status}${said.length === 0 ? '' : `: ${said.slice(0, 2).join(' ')}`}`;
}
