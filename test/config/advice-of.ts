/** Advice on a Corefile under test, beside what every one of these short ones would get. */

import type { AdviceDeps } from '../../src/config/advice.js';
import { type Advice, adviceOn } from '../../src/config/advice.js';
import { parseCorefile } from '../../src/config/corefile.js';
import { parseConfig } from '../../src/config/load.js';
import { plugins } from '../../src/plugins/registry.js';
import { testOptions } from './options.js';

const world: AdviceDeps = {
  localAddresses: ['169.254.20.10', '10.96.0.10'],
  clusterDns: { endpoint: { address: '10.97.12.34', port: 53 } },
  metricsAddress: { address: '0.0.0.0', port: 9353 },
  reloadWithSignal: false,
};

/** What a block needs so that nothing is missing. */
const whole = 'bind 169.254.20.10\nerrors\nloop\nreload\nhealth 169.254.20.10:8080';

/** All advice on a Corefile. */
export function adviceOf(text: string, differing: Partial<AdviceDeps> = {}): Advice[] {
  const options = testOptions();
  const corefile = parseCorefile([{ text, file: '/etc/Corefile' }], options, []);
  return adviceOn(parseConfig(text, '/etc/Corefile', options), corefile, { ...world, ...differing }, plugins);
}

/** Advice on a block of `.` that lacks nothing, with these lines from line 7 on, as `LINE code`. */
export function codesOf(...lines: readonly string[]): string[] {
  return shortly(adviceOf(blockWith('.', lines)));
}

/** The same for a block of another zone, beside one for all names. */
export function codesIn(zone: string, ...lines: readonly string[]): string[] {
  const rest = `. {\nbind 169.254.20.10\nerrors\nloop\ncache 30\nforward . /etc/resolv.conf\n}\n`;
  return shortly(adviceOf(blockWith(zone, lines) + rest));
}

export function shortly(advice: readonly Advice[]): string[] {
  return advice.map(({ at, code }) => `${at.line} ${code}`);
}

function blockWith(zone: string, lines: readonly string[]): string {
  return `${zone} {\n${whole}\n${lines.join('\n')}\n}\n`;
}
