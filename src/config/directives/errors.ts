/** `errors { stacktrace; consolidate … }`: how failures are logged. */
import { durationMs, eachOption, fail, noWords, oneOf, readPattern, words } from '../arguments.js';
import type { ConsolidateConfig, ErrorsConfig } from '../config.js';
import type { Directive } from '../corefile.js';

export function readErrors(directive: Directive): ErrorsConfig {
  const [file] = words(directive, 0, 1, 'nothing, or "stdout"');
  if (file !== undefined && file.text !== 'stdout')
    fail(directive, `"${file.text}" is not a log file that zerohop can use; write stdout or nothing.`);
  let stacktrace = false;
  const consolidate: ConsolidateConfig[] = [];
  eachOption(directive, {
    stacktrace(option) {
      noWords(option);
      stacktrace = true;
    },
    consolidate(option) {
      consolidate.push(readConsolidate(option));
    },
  });
  return { stacktrace, consolidate };
}

function readConsolidate(option: Directive): ConsolidateConfig {
  const [period, pattern, ...rest] = words(option, 2, 4, 'DURATION "REGEXP" [LEVEL] [show_first]');
  const last = rest.at(-1);
  const showFirst = last?.text === 'show_first';
  const [level, surplus] = showFirst ? rest.slice(0, -1) : rest;
  if (surplus !== undefined)
    fail(option, `"${surplus.text}" is unexpected after the level; only show_first may follow.`);
  const periodMs = durationMs(option, period, 'the period');
  if (periodMs === 0) fail(option, 'the period must be longer than 0; write one like 5m.');
  return {
    periodMs,
    pattern: readPattern(pattern, option),
    level: level === undefined ? 'error' : oneOf(option, level, 'the level', ['debug', 'info', 'warning', 'error']),
    showFirst,
  };
}
