/** The live page with what it shows of the parts of the program. Part of the composition root. */
import type { Report } from '../config/check.js';
import { type Config, ConfigError } from '../config/config.js';
import { remembered } from '../observe/exposition.js';
import type { Top } from '../observe/top.js';
import type { Clock } from '../os/clock.js';
import type { Endpoint } from '../os/network.js';
import type { Page } from '../page/page.js';
import type { PageSource } from '../page/view.js';
import type { ActiveConfiguration } from './active-configuration.js';
import type { ProcessDoctor } from './doctor-run.js';
import type { LivePageAtWork } from './endpoints.js';

/** `-page`. Its code is loaded only where it is wanted. */
export interface PageWish {
  readonly at: Endpoint;
  readonly hostName: string;
  readonly newPage: (clock: Clock) => Page;
  /** What `zerohop check` says. Throws a ConfigError if a file that the Corefile imports is gone. */
  readonly findingsOn: (config: Config) => Report['findings'];
}

interface ShownParts {
  readonly metrics: Omit<PageSource, 'hostName' | 'failures' | 'top' | 'corefile' | 'findings'>;
  readonly top: Pick<Top, 'talkers'>;
  /** Its findings are those of the last minute's run, if there was one. */
  readonly doctor: () => Pick<ProcessDoctor, 'findings'> | null;
  readonly active: () => Pick<ActiveConfiguration, 'config' | 'inForceSinceMs' | 'isLastRefused'>;
}

export function livePageOf(page: Page, wish: PageWish, { metrics, top, active, doctor }: ShownParts): LivePageAtWork {
  const findingsOf = remembered((config: Config) => findingsOrNone(config, wish));
  const source: PageSource = {
    ...metrics,
    hostName: wish.hostName,
    failures: page.failures,
    top: (countMax) => top.talkers(countMax),
    corefile() {
      const { config, inForceSinceMs: sinceMs, isLastRefused } = active();
      const { source, sha512, pieces } = config;
      return { source, sha512, pieces, sinceMs, isLastRefused, findings: findingsOf(config) };
    },
    findings() {
      const findings = doctor()?.findings() ?? null;
      // Before the first run, and while another instance serves.
      return findings?.length === 0 ? null : findings;
    },
  };
  return { ...page, at: wish.at, source };
}

/** The configuration in force stays so, whatever has become of its files. */
function findingsOrNone(config: Config, { findingsOn }: PageWish): Report['findings'] {
  try {
    return findingsOn(config);
  } catch (error) {
    if (error instanceof ConfigError) return [];
    throw error;
  }
}
