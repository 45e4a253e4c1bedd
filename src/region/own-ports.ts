/** The ports that this process holds, by group, port and reach. */
import { reachesMeet } from '../layout';

export interface OwnPort {
  readonly port: number;
  readonly group: string;
  /** The addresses whose port it is, see src/layout/reach.ts. */
  readonly reach: string;
  readonly slot: number;
  readonly socket: number;
  shared: boolean;
  listening: boolean;
  /** Of a listener: requests that may wait to be accepted. */
  backlog?: number;
  /** Reserved in our own range of unbound ports. */
  reserved: boolean;
}

export class OwnPorts {
  readonly #groups = new Map<string, Map<number, OwnPort[]>>();

  /** All of one number: those of different addresses, or shared ones. */
  at(group: string, port: number): readonly OwnPort[] {
    return this.#groups.get(group)?.get(port) ?? [];
  }

  all(): OwnPort[] {
    return [...this.#groups.values()].flatMap((ports) => [...ports.values()].flat());
  }

  find(group: string, port: number, reach: string): OwnPort | undefined {
    return this.at(group, port).find((own) => own.reach === reach);
  }

  /**
   * True where a socket of this process is in the way of another one. Two of the same address are, also where both
   * share it: clients could not tell them apart.
   */
  hasRival(group: string, port: number, reach: string, shared: boolean): boolean {
    return this.at(group, port).some(
      (own) => own.reach === reach || (reachesMeet(own.reach, reach) && !(own.shared && shared)),
    );
  }

  add(own: OwnPort): void {
    const { group, port } = own;
    let ports = this.#groups.get(group);
    if (ports === undefined) this.#groups.set(group, (ports = new Map<number, OwnPort[]>()));
    const others = ports.get(port);
    if (others === undefined) ports.set(port, [own]);
    else others.push(own);
  }

  delete(own: OwnPort): void {
    const ports = this.#groups.get(own.group);
    const left = this.at(own.group, own.port).filter((other) => other !== own);
    if (left.length > 0) ports?.set(own.port, left);
    else ports?.delete(own.port);
  }
}
