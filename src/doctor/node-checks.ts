/** The checks of the node itself, in the order in which a query meets what they look at. */
import type { Check } from './check.js';
import { clusterIpCheck, listenersCheck, localAddressCheck, modeCheck, placeholderCheck } from './check-addresses.js';
import { askedCheck, flowsCheck } from './check-clients.js';
import { countersCheck } from './check-counters.js';
import { firewallCheck, notrackCheck } from './check-firewall.js';
import { ipvsCheck, kernelCheck, kubernetesCheck, receiveBufferCheck } from './check-kernel.js';
import { linksCheck } from './check-links.js';
import { memoryCheck, portCheck, reloadCheck, standByCheck } from './check-process.js';
import { aaaaCheck, searchPathCheck } from './check-questions.js';
import { stubCheck } from './check-resolvers.js';

export const nodeChecks: readonly Check[] = [
  placeholderCheck,
  clusterIpCheck,
  localAddressCheck,
  portCheck,
  listenersCheck,
  modeCheck,
  notrackCheck,
  firewallCheck,
  askedCheck,
  flowsCheck,
  linksCheck,
  stubCheck,
  countersCheck,
  ipvsCheck,
  receiveBufferCheck,
  kernelCheck,
  kubernetesCheck,
  memoryCheck,
  reloadCheck,
  standByCheck,
  aaaaCheck,
  searchPathCheck,
];
