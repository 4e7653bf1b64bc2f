import { useRef, useState } from "react";
import { type Draft, EMPTY, suggestName } from "./plan";
import { checkFile, sendFile } from "./send";

interface Sent {
  readonly name: string;
  readonly bytes: number;
  readonly done: number;
}

/** Sends one file at a time; what arrived goes on to be looked at. */
export function useSending(onChange: (draft: Draft) => void) {
  const [sent, setSent] = useState<Sent>();
  const [error, setError] = useState<unknown>();
  const abort = useRef<AbortController>(undefined);
  const send = (file: File) => {
    setError(undefined);
    try {
      checkFile(file);
    } catch (refused) {
      setError(refused);
      return;
    }
    const about = { name: file.name.slice(0, 200), bytes: file.size };
    abort.current = new AbortController();
    setSent({ ...about, done: 0 });
    onChange({ ...EMPTY, stage: "sending", ...about });
    sendFile(file, (done) => setSent({ ...about, done }), abort.current.signal)
      .then((upload) => onChange({ ...EMPTY, stage: "look", ...about, upload: upload.upload, dataset: suggestName(upload.name) }))
      .catch((failed: unknown) => {
        setError(failed);
        onChange(EMPTY);
      })
      .finally(() => setSent(undefined));
  };
  return { sent, error, send, cancel: () => abort.current?.abort() };
}
