/** `log [NAMES…] [FORMAT] { class … }`: which queries are written to the log, and how. */
import { type DirectiveContext, eachOption, oneOf, warn, words } from '../arguments.js';
import type { LogConfig } from '../config.js';
import type { Directive } from '../corefile.js';
import { readZones } from '../zones.js';

/** CoreDNS's `{common}`. */
export const commonFormat =
  '{remote}:{port} - {>id} "{type} {class} {name} {proto} {size} {>do} {>bufsize}" {rcode} {>rflags} {rsize} {duration}';
/** CoreDNS's `{combined}`. */
export const combinedFormat =
  '{remote}:{port} - {>id} "{type} {class} {name} {proto} {size} {>do} {>bufsize}" {rcode} {>rflags} {rsize} {duration} {>opcode}';

export function readLog(directive: Directive, context: DirectiveContext): LogConfig {
  const last = directive.arguments.at(-1);
  const format = last?.text.includes('{') ? last.text : undefined;
  const names = format !== undefined ? directive.arguments.slice(0, -1) : directive.arguments;
  if (format !== undefined && names.length === 0) {
    warn(context, directive, 'a format without names is read as a name by CoreDNS; write "." before it.');
  }
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
    format: (format ?? commonFormat).replaceAll('{common}', commonFormat).replaceAll('{combined}', combinedFormat),
    classes: classes.size === 0 ? ['all'] : [...classes],
  };
}
