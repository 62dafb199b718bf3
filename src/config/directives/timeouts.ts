/** `timeouts { read; write; idle; maxtcpqueries }`: how long a TCP client may take. */
import { durationMs, eachOption, fail, noWords, oneWord, wholeNumber } from '../arguments.js';
import type { TimeoutsConfig } from '../config.js';
import type { Directive } from '../corefile.js';

const timeoutMsLeast = 1_000;
const timeoutMsMost = 24 * 3_600_000;

/** What CoreDNS does without the directive. */
export const timeoutsByDefault: TimeoutsConfig = { readMs: 3_000, writeMs: 5_000, idleMs: 10_000, tcpQueriesMax: -1 };

export function readTimeouts(directive: Directive): TimeoutsConfig {
  noWords(directive);
  if (!directive.block?.length) fail(directive, 'expects a block with read, write, idle or maxtcpqueries.');
  const timeouts = { ...timeoutsByDefault };
  const queries = (option: Directive) => {
    const word = oneWord(option, 'a number of queries');
    timeouts.tcpQueriesMax = wholeNumber(option, word, 'the number of queries', -1, 2 ** 31 - 1);
  };
  eachOption(directive, {
    read(option) {
      timeouts.readMs = readTimeout(option);
    },
    write(option) {
      timeouts.writeMs = readTimeout(option);
    },
    idle(option) {
      timeouts.idleMs = readTimeout(option);
    },
    maxtcpqueries: queries,
    max_queries: queries,
  });
  return timeouts;
}

function readTimeout(option: Directive): number {
  const timeoutMs = durationMs(option, oneWord(option, 'a duration'), 'the time');
  if (timeoutMs < timeoutMsLeast || timeoutMs > timeoutMsMost) fail(option, 'the time must be from 1s to 24h.');
  return timeoutMs;
}
