/**
 * The registry of everything that the hook changes in Node: where, what, and the original, so that it can be listed and
 * taken back.
 */

export interface Patch {
  /** As in `net.Socket.prototype.connect`. */
  readonly name: string;
  readonly owner: object;
  readonly key: PropertyKey;
  /** Undefined: there was none. */
  readonly original: PropertyDescriptor | undefined;
}

export class Patches {
  readonly #applied: Patch[] = [];

  /**
   * Replaces a method by what `make` returns for the original. Name, length and attributes stay those of the original.
   */
  replace<T extends ((...args: never[]) => unknown) | (abstract new (...args: never[]) => unknown)>(
    name: string,
    owner: object,
    key: PropertyKey,
    make: (original: T) => T,
  ): void {
    const original = Object.getOwnPropertyDescriptor(owner, key);
    const value: unknown = original?.value;
    if (original === undefined || typeof value !== 'function') throw new TypeError(`${name} is no method of this Node`);
    const replacement = make(value as T);
    for (const property of ['name', 'length'] as const) {
      Object.defineProperty(replacement, property, { value: value[property], configurable: true });
    }
    Object.defineProperty(owner, key, { ...original, value: replacement });
    this.#applied.push({ name, owner, key, original });
  }

  /** Adds what no object of Node has there; it is not enumerable. */
  add(name: string, owner: object, key: PropertyKey, property: PropertyDescriptor): void {
    Object.defineProperty(owner, key, { ...property, enumerable: false, configurable: true });
    this.#applied.push({ name, owner, key, original: undefined });
  }

  list(): readonly Patch[] {
    return [...this.#applied];
  }

  /** Puts every original back, the last one replaced first. */
  restore(): void {
    for (const { owner, key, original } of this.#applied.splice(0).reverse()) {
      if (original === undefined) Reflect.deleteProperty(owner, key);
      else Object.defineProperty(owner, key, original);
    }
  }
}
