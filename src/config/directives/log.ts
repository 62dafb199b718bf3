/** `log [NAMES…] [FORMAT] { class … }`: which queries are written to the log, and how. */
import { type DirectiveContext, eachOption, oneOf, warn, words } from '../arguments.js';
import type { LogConfig } from '../config.js';
import type { Directive } from '../corefile.js';
import { readZones } from '../zones.js';

const formatDefault = '{common}';

export function readLog(directive: Directive, context: DirectiveContext): LogConfig {
  const last = directive.arguments.at(-1);
  const format = last?.text.includes('{') ? last.text : undefined;
  const names = format !== undefined ? directive.arguments.slice(0, -1) : directive.arguments;
  if (format !== undefined && names.length === 0) {
    warn(context, directive, 'CoreDNS reads a format without names as a name; write "." before it.');
  }
  const wrong = format === undefined ? null : (context.checkLogFormat?.(format) ?? null);
  if (wrong !== null) warn(context, directive, wrong);
  const classes = new Set<LogConfig['classes'][number]>();
  eachOption(directive, {
    class(option) {
      for (const token of words(option, 1, Number.POSITIVE_INFINITY, 'success, denial, error or all')) {
        classes.add(oneOf(option, token, 'the class', ['success', 'denial', 'error', 'all']));
      }
    },
  });
  return {
    names: names.length === 0 ? ['.'] : names.flatMap((token) => readZones(token, directive.path)),
    format: format ?? formatDefault,
    classes: classes.size === 0 ? ['all'] : [...classes],
  };
}
