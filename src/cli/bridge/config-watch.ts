/**
 * Tells when a config file has changed. Its directory is watched, as editors put a new file in the place of the old
 * one; where the file is a link, the directory that it leads to is watched as well. Changes that come close together
 * are told once, so that a file is not read while an editor writes it.
 */
import fs from 'node:fs';
import path from 'node:path';

/** So long nothing must have changed. */
const QUIET_MS = 150;

export interface ConfigWatch {
  close(): void;
}

export interface ConfigWatchEvents {
  changed(): void;
  /** The file is watched no more. */
  failed(error: Error): void;
}

/** `before`: what was in the file when it was read; it may have changed since then. */
export function watchConfig(file: string, before: string | undefined, events: ConfigWatchEvents): ConfigWatch {
  let timer: NodeJS.Timeout | undefined;
  let last = before;
  const look = (): void => {
    const content = contentOf(file);
    // A file that is away for a moment is on its way.
    if (content === undefined || content === last) return;
    last = content;
    events.changed();
  };
  const watchers = [...new Set([path.dirname(path.resolve(file)), path.dirname(fs.realpathSync(file))])].map(
    (directory) =>
      fs
        .watch(directory, () => {
          clearTimeout(timer);
          timer = setTimeout(look, QUIET_MS);
        })
        .on('error', (error) => {
          events.failed(error);
        }),
  );
  timer = setTimeout(look, QUIET_MS);
  return {
    close: () => {
      clearTimeout(timer);
      for (const watcher of watchers) watcher.close();
    },
  };
}

/** Undefined where it can't be read. */
export function contentOf(file: string): string | undefined {
  try {
    return fs.readFileSync(file, 'latin1');
  } catch {
    return undefined;
  }
}
