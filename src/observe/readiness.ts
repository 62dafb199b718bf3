/**
 * /ready: a set of named conditions, all of which must be met, and the end of it all at SIGTERM. It knows neither
 * what the conditions mean nor who meets them.
 */
import type { ReadyConfig } from '../config/config.js';
import type { HttpAnswer } from './http.js';

export interface Readiness {
  met(condition: string): void;
  /** With `until-ready` a condition that was met once stays met, as in CoreDNS. */
  lost(condition: string): void;
  /** From now on nothing makes us ready. */
  stopping(): void;
  /** Conditions not met, in the order in which they were named. */
  readonly missing: readonly string[];
  readonly ready: boolean;
  /** 200 `OK`, or 503 with what is missing. */
  answer(): HttpAnswer;
}

/** Not ready until every condition was met. Naming a condition that is not in the list is a bug and throws. */
export function newReadiness(conditions: readonly string[], monitor: ReadyConfig['monitor']): Readiness {
  const unmet = new Set(conditions);
  let isStopping = false;

  function known(condition: string): string {
    if (!conditions.includes(condition)) throw new Error(`"${condition}" is not a condition of readiness.`);
    return condition;
  }

  const missing = (): string[] => conditions.filter((condition) => unmet.has(condition));

  return {
    met: (condition) => void unmet.delete(known(condition)),
    lost(condition) {
      known(condition);
      if (monitor === 'continuously') unmet.add(condition);
    },
    stopping() {
      isStopping = true;
    },
    get missing() {
      return missing();
    },
    get ready() {
      return !isStopping && unmet.size === 0;
    },
    answer() {
      if (isStopping) return { status: 503, body: 'shutting down' };
      return unmet.size === 0 ? { status: 200, body: 'OK' } : { status: 503, body: missing().join(',') };
    },
  };
}
