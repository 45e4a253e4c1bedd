/**
 * The host as the program has written it in a connect or a listen: rules compare that, and handles see addresses only.
 */

const hosts = new WeakMap<object, string>();

/** Undefined: the program gave an address to connect to, or none to listen at. */
export function rememberHost(target: object, host: string | undefined): void {
  if (host === undefined) hosts.delete(target);
  else hosts.set(target, host);
}

export function hostOf(target: object): string | undefined {
  return hosts.get(target);
}
