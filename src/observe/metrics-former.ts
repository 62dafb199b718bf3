/**
 * Names that families had in CoreDNS before 1.7 and that changed in nothing else: the same numbers once more, for
 * dashboards and alerts which nobody has touched since. Former names with fewer labels stand beside the present ones.
 */
import type { Family } from './exposition.js';
import type { Scrape } from './metrics-source.js';

/** By the present name. */
const formerNames: Readonly<Record<string, string>> = {
  coredns_panics_total: 'coredns_panic_count_total',
  coredns_autopath_success_total: 'coredns_autopath_success_count_total',
  coredns_reload_failed_total: 'coredns_reload_failed_count_total',
  coredns_forward_requests_total: 'coredns_forward_request_count_total',
  coredns_forward_responses_total: 'coredns_forward_response_rcode_count_total',
  coredns_forward_healthcheck_failures_total: 'coredns_forward_healthcheck_failure_count_total',
  coredns_forward_healthcheck_broken_total: 'coredns_forward_healthcheck_broken_count_total',
  coredns_forward_max_concurrent_rejects_total: 'coredns_forward_max_concurrent_reject_count_total',
};

/** The families of `present` that had another name, under that. */
export function formerFamilies(present: readonly Family<Scrape>[]): Family<Scrape>[] {
  return present.flatMap(({ name, ...family }) =>
    Object.hasOwn(formerNames, name)
      ? [{ ...family, name: formerNames[name], help: `${family.help} Former name of ${name}.` }]
      : [],
  );
}
