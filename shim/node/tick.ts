/**
 * Ends a callback into the program as Node does: ticks and promise reactions run before the next callback begins.
 *
 * @note Node 20 to 26: `process._tickCallback` is what Node's own timers and immediates call between two callbacks. It is taken when the
 * hook loads. Where it is missing, callbacks of one turn are not told apart.
 */
const run = (process as unknown as { _tickCallback?: () => void })._tickCallback;

export const endCallback: () => void = typeof run === 'function' ? run.bind(process) : (): void => undefined;
