/** What the owner has begun and not finished: kept in this tab, so that a reload loses nothing. */

import { useCallback, useState } from "react";

const PREFIX = "openmined-mine:";

/** A draft under a name; `empty` is what it begins with, the same at every call. */
export function useDraft<T>(name: string, empty: T): readonly [T, (value: T) => void, () => void] {
  const [value, setValue] = useState<T>(() => read<T>(name) ?? empty);
  const keep = useCallback(
    (next: T) => {
      setValue(next);
      try {
        sessionStorage.setItem(PREFIX + name, JSON.stringify(next));
      } catch {
        // Storage is full or forbidden: the draft lives as long as the page.
      }
    },
    [name],
  );
  const drop = useCallback(() => {
    sessionStorage.removeItem(PREFIX + name);
    setValue(empty);
  }, [name, empty]);
  return [value, keep, drop];
}

/** Lets a draft end with the page that shows it. */
export function forgetDraft(name: string): void {
  sessionStorage.removeItem(PREFIX + name);
}

/** Forgets every draft: whoever logs in next may be somebody else. */
export function dropDrafts(): void {
  for (const key of Object.keys(sessionStorage)) if (key.startsWith(PREFIX)) sessionStorage.removeItem(key);
}

function read<T>(name: string): T | undefined {
  try {
    const text = sessionStorage.getItem(PREFIX + name);
    return text === null ? undefined : (JSON.parse(text) as T);
  } catch {
    return undefined;
  }
}
