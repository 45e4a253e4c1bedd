/**
 * The systems of a region, as its process files tell: names, transport groups, and the addresses that stand for them.
 *
 * A system is known while a process of it has a file here, also after that process's death: a client of a server that
 * has just died is refused; it is not told that there is no such host.
 */
import { StpError } from '../errors';
import { type Bindings } from './bindings';
import { ipv6OfSystem, normalizeIpv6 } from './ipv6';
import { systemKey } from './names';
import { type ProcessInfo } from './process-info';
import { type Processes } from './processes';

export interface Host {
  /** As the process that came first spells it. */
  readonly name: string;
  /** Transport groups in use there, sorted. */
  readonly groups: readonly string[];
  /** True for the system of this process. */
  readonly local: boolean;
  /** Stable unique-local address that stands for the system. */
  readonly ipv6: string;
}

export class Hosts {
  readonly #processes: Processes;
  readonly #bindings: Bindings;
  readonly #self: ProcessInfo;
  /** Addresses of names seen: a name's address never changes. */
  readonly #ipv6 = new Map<string, string>();

  constructor(processes: Processes, bindings: Bindings, self: ProcessInfo) {
    this.#processes = processes;
    this.#bindings = bindings;
    this.#self = self;
  }

  /** All systems that have a process file, this one first. */
  list(): Host[] {
    const spellings = new Map<string, string>([[this.#self.systemKey, this.#self.system]]);
    for (const info of this.#processes.known())
      if (!spellings.has(info.systemKey)) spellings.set(info.systemKey, info.system);
    return [...spellings.keys()].map((key) => this.#host(key, spellings.get(key) ?? key));
  }

  /** A system by its name, in any case; EHOSTUNREACH where the region knows none of that name. */
  hostByName(name: string): Host {
    if (typeof name !== 'string') throw new StpError('EINVAL', 'a host name must be a string');
    const key = systemKey(name);
    const spelling = this.#spelling(key);
    if (spelling === undefined) throw unknownSystem(name);
    return this.#host(key, spelling);
  }

  /** The name of a system, as it spells it; costs less than {@link hostByName}. EHOSTUNREACH as there. */
  nameOf(name: string): string {
    const spelling = this.#spelling(systemKey(name));
    if (spelling === undefined) throw unknownSystem(name);
    return spelling;
  }

  /**
   * The system that an address stands for, undefined where it stands for none that the region knows. Takes any spelling
   * of the address.
   */
  systemOfIpv6(text: string): string | undefined {
    const address = normalizeIpv6(text);
    if (address === undefined) return undefined;
    if (this.#address(this.#self.systemKey) === address) return this.#self.system;
    return this.#processes.known().find((info) => this.#address(info.systemKey) === address)?.system;
  }

  /** The address that stands for a system, known or not. */
  ipv6Of(system: string): string {
    return this.#address(systemKey(system));
  }

  #spelling(key: string): string | undefined {
    if (key === this.#self.systemKey) return this.#self.system;
    return this.#processes.systemName(key);
  }

  #host(key: string, name: string): Host {
    const groups = new Set<string>();
    for (const info of this.#processes.known()) if (info.systemKey === key) groups.add(info.group);
    for (const port of this.#bindings.ports(key)) groups.add(port.group);
    return { name, groups: [...groups].sort(), local: key === this.#self.systemKey, ipv6: this.#address(key) };
  }

  #address(key: string): string {
    let address = this.#ipv6.get(key);
    if (address === undefined) this.#ipv6.set(key, (address = ipv6OfSystem(key)));
    return address;
  }
}

function unknownSystem(name: string): StpError {
  return new StpError('EHOSTUNREACH', `no process of system ${JSON.stringify(name.slice(0, 100))} is in the region`);
}
