/** The checks of the cluster DNS, in the order in which a question of the cache meets what they look at. */
import type { Check } from './check.js';
import {
  busyCheck,
  notReadyCheck,
  rbacCheck,
  restartedCheck,
  servfailCheck,
  stubForwardCheck,
} from './check-coredns.js';
import { hiddenCheck, outsideOfEndpointsCheck, silentEndpointsCheck } from './check-endpoints.js';
import { conntrackRaceCheck, lossCheck } from './check-losses.js';
import { internalNameCheck, outsideNameCheck, resolversCheck } from './check-names.js';
import {
  clusterDnsServiceCheck,
  endpointsCheck,
  kubeProxyRulesCheck,
  serviceReachCheck,
  sessionAffinityCheck,
} from './check-service.js';

export const clusterChecks: readonly Check[] = [
  clusterDnsServiceCheck,
  kubeProxyRulesCheck,
  endpointsCheck,
  sessionAffinityCheck,
  silentEndpointsCheck,
  hiddenCheck,
  serviceReachCheck,
  internalNameCheck,
  resolversCheck,
  outsideNameCheck,
  outsideOfEndpointsCheck,
  restartedCheck,
  notReadyCheck,
  servfailCheck,
  rbacCheck,
  busyCheck,
  stubForwardCheck,
  // Last: they take what is left of the questions.
  conntrackRaceCheck,
  lossCheck,
];
