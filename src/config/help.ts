/**
 * The help of zerohop and of each command, made from the lists of commands and flags. yargs lays out the flags and is loaded
 * with this file alone, for a help that is asked for: it would cost every start 65 ms and 6 MB, of 300 and 30 promised, and
 * cannot read Go's flags.
 */
import yargs from 'yargs';
import { type CommandSpec, calledName, commands, flagGrammar, usageOf } from './commands.js';
import { choicesIn, type Flag, flagOf } from './flag-reader.js';

/** On a terminal its width up to 100 columns, as long lines are hard to read; else 80. */
export function helpColumns(terminalColumns: number | undefined): number {
  return Math.max(40, Math.min(terminalColumns ?? 80, 100));
}

/** Without the last line end; no line is longer than `columns`, of which there are at least 40. */
export async function helpText(command: CommandSpec, columns: number): Promise<string> {
  const isWhole = command.name === '';
  const heading = isWhole ? command.details : `${calledName(command)}: ${command.about}. ${command.details}`;
  const paragraph = (text: string): string => wrapped(text, columns).join('\n');
  const parts = [
    paragraph(heading),
    isWhole ? `Usage:\n${commandLines()}` : `Usage: ${usageOf(command)}`,
    await flagLines(command, columns),
    `Examples:\n${command.examples.map((example) => exampleText(example, columns)).join('\n')}`,
    command.flags.length > 1 ? paragraph(flagGrammar) : '',
    paragraph(`Exit status: ${command.exitStatus}`),
    isWhole ? paragraph('"zerohop COMMAND -help" prints the flags of a command, "zerohop man" the man page.') : '',
  ];
  return parts.filter((part) => part !== '').join('\n\n');
}

/** A line per command: how it is written, and what it does. */
export function commandLines(): string {
  const usageColumns = Math.max(...commands.map((command) => usageOf(command).length));
  return commands.map((command) => `${usageOf(command).padEnd(usageColumns)}  ${command.about}`).join('\n');
}

async function flagLines({ flags }: CommandSpec, columns: number): Promise<string> {
  const program = yargs([]).locale('en').help(false).version(false).wrap(columns).usage('');
  for (const name of flags) {
    const { aliases: alias, group, about } = flagOf(name);
    program.option(name, { alias, group, describe: `${about} ${valuesText(flagOf(name))}` });
  }
  return (await program.getHelp()).trim().replaceAll(unbroken, ' ');
}

/** A blank at which yargs ends no line. */
const unbroken = '\u00a0';

/** `(text|json, default: text)`; booleans show by their default what they are. */
function valuesText({ kind, value, byDefault }: Flag): string {
  const choices = kind === 'text' && choicesIn(value).length > 1 ? `${value}, ` : '';
  return `(${choices}default:${unbroken}${byDefault === '' ? 'empty' : byDefault})`;
}

function exampleText([line, what]: CommandSpec['examples'][number], columns: number): string {
  const lines = wrapped(line, columns - 4).map((part, index, { length }) => {
    const isLast = index === length - 1;
    return `${index === 0 ? '  ' : '      '}${part}${isLast ? '' : ' \\'}`;
  });
  return [...lines, ...wrapped(what, columns - 6).map((part) => `      ${part}`)].join('\n');
}

/** The words in lines of at most `columns`, but for a longer word. */
function wrapped(text: string, columns: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const last = lines.at(-1);
    if (last === undefined || last.length + 1 + word.length > columns) lines.push(word);
    else lines[lines.length - 1] = `${last} ${word}`;
  }
  return lines;
}
