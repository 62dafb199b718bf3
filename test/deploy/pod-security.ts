/**
 * The Pod Security level that a pod needs, by those rules of the Pod Security Standards that the manifests of deploy/ can
 * touch.
 */
import type { Container, PodSpec, SecurityContext } from './kubernetes.js';

/** What containers have from the runtime, so that baseline lets them ask for it. */
const ofEveryContainer = [
  ...['AUDIT_WRITE', 'CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'FSETID', 'KILL', 'MKNOD', 'NET_BIND_SERVICE', 'SETFCAP'],
  ...['SETGID', 'SETPCAP', 'SETUID', 'SYS_CHROOT'],
];

/** The strictest level that admits the pod. */
export function podSecurityLevel(spec: PodSpec): 'restricted' | 'baseline' | 'privileged' {
  const containers = [...(spec.initContainers ?? []), ...spec.containers];
  if (!isBaseline(spec, containers)) return 'privileged';
  const isRestricted = containers.every((container) => isRestrictedContainer(spec.securityContext, container));
  return isRestricted && spec.volumes.every(isRestrictedVolume) ? 'restricted' : 'baseline';
}

function isBaseline({ hostNetwork, volumes }: PodSpec, containers: readonly Container[]): boolean {
  const added = containers.flatMap(({ securityContext }) => securityContext.capabilities.add);
  const takesFromHost = hostNetwork === true || volumes.some((volume) => volume.hostPath !== undefined);
  return !takesFromHost && added.every((capability) => ofEveryContainer.includes(capability));
}

function isRestrictedContainer(ofPod: Partial<SecurityContext>, { securityContext }: Container): boolean {
  const { allowPrivilegeEscalation, capabilities, runAsNonRoot, runAsUser, seccompProfile } = {
    ...ofPod,
    ...securityContext,
  };
  return (
    allowPrivilegeEscalation === false &&
    capabilities.drop.includes('ALL') &&
    capabilities.add.every((capability) => capability === 'NET_BIND_SERVICE') &&
    runAsNonRoot === true &&
    runAsUser !== 0 &&
    seccompProfile?.type === 'RuntimeDefault'
  );
}

function isRestrictedVolume(volume: object): boolean {
  const kinds = ['configMap', 'emptyDir', 'projected', 'secret'];
  return Object.keys(volume).every((key) => key === 'name' || kinds.includes(key));
}
