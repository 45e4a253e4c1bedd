/**
 * Network namespaces for one program each: one with an ordinary loopback, one in which kernel TCP can't connect. Works
 * as root, and as a user where the system lets users have namespaces.
 */
import { spawnSync } from 'node:child_process';

/**
 * - `own`: an own loopback, so that programs which use the same ports do not meet.
 * - `blocked`: one in which the kernel has no route for TCP and fails every connect with ENETUNREACH. UDP, which stays
 *   Node's own, works: by a rule for the protocol, or where the kernel has none such, without any local route.
 */
export type Network = 'own' | 'blocked';

const WAYS = [
  ['unshare', '--net', '--mount'],
  ['unshare', '--user', '--map-root-user', '--net', '--mount'],
] as const;

/**
 * What names mean must not depend on the machine: some have no `localhost` of IPv6. Tests tell the host name from an
 * unknown one.
 */
const HOSTS =
  'h=$(mktemp) && printf "127.0.0.1 localhost\\n::1 localhost\\n127.0.1.1 %s\\n" "$(hostname)" >"$h" && ' +
  '{ mount --bind "$h" /etc/hosts; rm "$h"; }';
const BY_RULE = ['', '-6'].map(
  (family) =>
    `ip ${family} rule add pref 0 ipproto tcp unreachable && ip ${family} rule add pref 1 table local && ` +
    `ip ${family} rule del pref 0 table local`,
);
const SET_UP: Readonly<Record<Network, string>> = {
  own: `{ ${HOSTS}; }; ip link set lo up`,
  blocked:
    `{ ${HOSTS}; }; ip link set lo up; { ${BY_RULE.join(' && ')}; } || ` +
    '{ ip route flush table local && ip -6 route flush table local; }',
};

function commandOf(way: readonly string[], network: Network): string[] {
  return [...way, 'sh', '-c', `{ ${SET_UP[network]}; } 2>/dev/null && exec "$@"`, 'sh'];
}

let found: readonly string[] | null | undefined;

/** Whether this machine lets us have namespaces. */
export function hasNamespaces(): boolean {
  found ??=
    WAYS.find((way) => {
      const [command, ...args] = [...commandOf(way, 'blocked'), 'true'];
      return spawnSync(command, args, { stdio: 'ignore' }).status === 0;
    }) ?? null;
  return found !== null;
}

/** What to put before a command so that it runs in a new namespace; nothing where there are none. */
export function inNamespace(network: Network): string[] {
  return hasNamespaces() && found ? commandOf(found, network) : [];
}
