/** What the kernel of a network namespace counted, from the text of /proc/net. */

export interface KernelTcp {
  /** Connections opened, from either side. */
  readonly opens: number;
  /** Connects that found no route: nothing else asks for routes in a namespace that has none for TCP. */
  readonly unrouted: number;
  /** TCP sockets there are now, listeners included. */
  readonly sockets: number;
}

export const KERNEL_FILES = ['snmp', 'snmp6', 'sockstat', 'sockstat6'] as const;
export type KernelFiles = Partial<Record<(typeof KERNEL_FILES)[number], string>>;

/** Undefined where the files are not there. */
export function kernelTcp({ snmp, snmp6, sockstat, sockstat6 }: KernelFiles): KernelTcp | undefined {
  if (snmp === undefined || sockstat === undefined) return undefined;
  const six = Number(/^Ip6OutNoRoutes\s+(\d+)/mu.exec(snmp6 ?? '')?.[1] ?? 0);
  const inUse = (text: string | undefined): number => Number(/^TCP6?: inuse (\d+)/mu.exec(text ?? '')?.[1] ?? 0);
  return {
    opens: counter(snmp, 'Tcp', 'ActiveOpens') + counter(snmp, 'Tcp', 'PassiveOpens'),
    unrouted: counter(snmp, 'Ip', 'OutNoRoutes') + six,
    sockets: inUse(sockstat) + inUse(sockstat6),
  };
}

function counter(snmp: string, group: string, name: string): number {
  const [names, values] = snmp
    .split('\n')
    .filter((line) => line.startsWith(`${group}:`))
    .map((line) => line.split(' '));
  const value = Number(values?.[names?.indexOf(name) ?? -1]);
  if (!Number.isFinite(value)) throw new Error(`/proc/net/snmp has no ${group} ${name}`);
  return value;
}
