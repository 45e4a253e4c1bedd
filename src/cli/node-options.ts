/**
 * NODE_OPTIONS as Node reads it: words parted by spaces; inside double quotes a space is part of the word and a
 * backslash takes the next character as it is.
 */

/** The words of a NODE_OPTIONS value; undefined where a quote is not closed, which Node refuses. */
export function parseNodeOptions(text: string): string[] | undefined {
  const words: string[] = [];
  let word: string | undefined;
  let quoted = false;
  for (let at = 0; at < text.length; at++) {
    let character = text.charAt(at);
    if (character === '\\' && quoted) {
      at += 1;
      if (at === text.length) return undefined;
      character = text.charAt(at);
    } else if (character === ' ' && !quoted) {
      if (word !== undefined) words.push(word);
      word = undefined;
      continue;
    } else if (character === '"') {
      quoted = !quoted;
      continue;
    }
    word = (word ?? '') + character;
  }
  if (word !== undefined) words.push(word);
  return quoted ? undefined : words;
}

/** One word of NODE_OPTIONS, quoted where it needs to be. */
export function quoteNodeOption(word: string): string {
  return /[ "\\]/.test(word) ? `"${word.replace(/["\\]/g, '\\$&')}"` : word;
}

/**
 * A NODE_OPTIONS value with `--require file` at its end, so that what was there before is loaded first. A value that
 * has it already stays as it is. Undefined where `existing` is not a value that Node takes.
 */
export function withRequire(existing: string | undefined, file: string): string | undefined {
  const words = parseNodeOptions(existing ?? '');
  if (words === undefined) return undefined;
  if (words.some((word, index) => word === file && /^(-r|--require)$/.test(words[index - 1] ?? ''))) return existing;
  const added = `--require ${quoteNodeOption(file)}`;
  return words.length === 0 ? added : `${existing ?? ''} ${added}`;
}
