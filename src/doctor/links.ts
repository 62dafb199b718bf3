/** Links, addresses, rules and routes of the node, as `ip` prints them in JSON. What has another shape is left out. */
import type { DoctorOutsides } from './check.js';
import { oncePerRun, runProgramFor } from './found.js';

export interface NodeLink {
  readonly name: string;
  /** `veth`, `bridge`, `dummy`; empty for hardware and lo. */
  readonly kind: string;
  readonly isLoopback: boolean;
  /** Its administrator's wish. */
  readonly isUp: boolean;
  /** Something is at its other end. */
  readonly hasCarrier: boolean;
  readonly mtu: number;
  readonly addresses: readonly string[];
}

export interface NodeRoute {
  /** `default`, `10.0.3.0/24`, `10.0.3.201`. */
  readonly to: string;
  readonly device: string;
  /** `main` where ip names none. */
  readonly table: string;
  readonly type: string;
}

export interface NodeRule {
  readonly from: string;
  readonly to: string;
  readonly table: string;
}

type Listed<Item> =
  | { readonly ok: true; readonly items: readonly Item[] }
  | { readonly ok: false; readonly why: string };

type IpRow = Readonly<Record<string, unknown>>;

/** The links with their addresses. */
export const linksOf = oncePerRun((outsides) => listBy(outsides, ['-json', '-details', 'address', 'show'], readLink));

/** Of all tables and both families. */
export const routesOf = oncePerRun((outsides) =>
  listBy(outsides, ['-json', 'route', 'show', 'table', 'all'], readRoute),
);

/** Of both families. */
export const rulesOfNode = oncePerRun(async (outsides): Promise<Listed<NodeRule>> => {
  const ipv4 = await listBy(outsides, ['-json', 'rule', 'show'], readNodeRule);
  const ipv6 = await listBy(outsides, ['-json', '-6', 'rule', 'show'], readNodeRule);
  return ipv4.ok && ipv6.ok ? { ok: true, items: [...ipv4.items, ...ipv6.items] } : ipv4;
});

async function listBy<Item>(
  outsides: DoctorOutsides,
  parameters: readonly string[],
  read: (row: IpRow) => Item | null,
): Promise<Listed<Item>> {
  const end = await runProgramFor(outsides, 'ip', parameters);
  if (!end.ok) return { ok: false, why: end.why };
  return listFrom(end.text, read);
}

/** An empty text is an empty list: some versions of ip print nothing then. */
export function listFrom<Item>(text: string, read: (row: IpRow) => Item | null): Listed<Item> {
  let rows: unknown;
  try {
    rows = text.trim() === '' ? [] : JSON.parse(text);
  } catch {
    return { ok: false, why: 'ip did not print JSON; its version is too old' };
  }
  if (!Array.isArray(rows)) return { ok: false, why: 'ip printed JSON of another shape' };
  return {
    ok: true,
    items: rows.flatMap((row: unknown) => {
      const item = typeof row === 'object' && row !== null ? read(row as IpRow) : null;
      return item === null ? [] : [item];
    }),
  };
}

export function readLink(row: IpRow): NodeLink | null {
  if (typeof row['ifname'] !== 'string') return null;
  const flags = Array.isArray(row['flags']) ? row['flags'] : [];
  const info = row['linkinfo'] as IpRow | undefined;
  const found = Array.isArray(row['addr_info']) ? (row['addr_info'] as IpRow[]) : [];
  return {
    name: row['ifname'],
    kind: typeof info?.['info_kind'] === 'string' ? info['info_kind'] : '',
    isLoopback: row['link_type'] === 'loopback',
    isUp: flags.includes('UP'),
    hasCarrier: !flags.includes('NO-CARRIER'),
    mtu: typeof row['mtu'] === 'number' ? row['mtu'] : 0,
    addresses: found.flatMap((each) => (typeof each?.['local'] === 'string' ? [each['local']] : [])),
  };
}

export function readRoute(row: IpRow): NodeRoute | null {
  const { dst, dev, table, type } = row;
  if (typeof dst !== 'string' || typeof dev !== 'string') return null;
  return { to: dst, device: dev, table: textOr(table, 'main'), type: textOr(type, 'unicast') };
}

export function readNodeRule(row: IpRow): NodeRule | null {
  const { src, dst, table, dstlen, srclen } = row;
  if (table === undefined) return null;
  return { from: prefixText(src, srclen), to: prefixText(dst, dstlen), table: textOr(table, '') };
}

function prefixText(address: unknown, bits: unknown): string {
  const written = textOr(address, 'all');
  return typeof bits === 'number' ? `${written}/${bits}` : written;
}

function textOr(value: unknown, otherwise: string): string {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : otherwise;
}

/** Hardware, what a virtual machine takes for it, and what a container has in its place (eth0 of a node of kind). */
export function isPhysical({ kind, isLoopback, name }: NodeLink): boolean {
  return !isLoopback && (kind === '' || /^(?:eth|en[opsx])\d/u.test(name));
}

const podKinds = ['veth', 'netkit', 'ipvlan', 'macvlan'];

/** The node's ends of its pods' links. */
export function podLinks(links: readonly NodeLink[]): readonly NodeLink[] {
  return links.filter(({ kind }) => podKinds.includes(kind));
}
