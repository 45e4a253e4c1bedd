/**
 * Network namespaces for one program each: one with an ordinary loopback, one in which kernel TCP can't connect. Works as root, and as a
 * user where the system lets users have namespaces.
 */
import { spawnSync } from 'node:child_process';

/**
 * - `own`: an own loopback, so that programs which use the same ports do not meet.
 * - `blocked`: one without its local routes: the kernel fails every connect with ENETUNREACH.
 */
export type Network = 'own' | 'blocked';

const WAYS = [['unshare', '--net'], ['unshare', '--user', '--map-root-user', '--net']] as const;
const SET_UP: Readonly<Record<Network, string>> = {
  own: 'ip link set lo up',
  blocked: 'ip link set lo up && ip route flush table local && ip -6 route flush table local',
};

function commandOf(way: readonly string[], network: Network): string[] {
  return [...way, 'sh', '-c', `{ ${SET_UP[network]}; } && exec "$@"`, 'sh'];
}

let found: readonly string[] | null | undefined;

/** Whether this machine lets us have namespaces. */
export function hasNamespaces(): boolean {
  found ??= WAYS.find((way) => {
    const [command, ...args] = [...commandOf(way, 'blocked'), 'true'];
    return spawnSync(command, args, { stdio: 'ignore' }).status === 0;
  }) ?? null;
  return found !== null;
}

/** What to put before a command so that it runs in a new namespace; nothing where there are none. */
export function inNamespace(network: Network): string[] {
  return hasNamespaces() && found ? commandOf(found, network) : [];
}
