import { Button, Text, VisuallyHidden } from "@mantine/core";
import { type DragEvent, useRef, useState } from "react";
import "./import.css";

/** Where a file is dropped, or chosen by a button. */
export function Dropzone({ take }: { take: (files: readonly File[], folder: boolean) => void }) {
  const input = useRef<HTMLInputElement>(null);
  const [over, setOver] = useState(false);
  const onDrop = (event: DragEvent) => {
    event.preventDefault();
    setOver(false);
    const folder = [...event.dataTransfer.items].some((item) => item.webkitGetAsEntry()?.isDirectory);
    take([...event.dataTransfer.files], folder);
  };
  const onDrag = (event: DragEvent) => {
    event.preventDefault();
    setOver(event.type !== "dragleave");
  };
  return (
    <fieldset
      className="dropzone"
      aria-label="Where to drop a file"
      data-over={over}
      onDrop={onDrop}
      onDragOver={onDrag}
      onDragEnter={onDrag}
      onDragLeave={onDrag}
    >
      <Text fw={600}>Drop a file or an archive here</Text>
      <Button onClick={() => input.current?.click()}>Choose a file</Button>
      <VisuallyHidden>
        <input
          ref={input}
          type="file"
          tabIndex={-1}
          aria-label="File to import"
          onChange={(event) => {
            take([...(event.currentTarget.files ?? [])], false);
            event.currentTarget.value = "";
          }}
        />
      </VisuallyHidden>
      <Text size="sm" className="om-muted" maw={560}>
        Archives of X (Twitter), Google Takeout, Apple Health, Fitbit, Strava and Spotify, folders of images as zip, and tables as CSV, JSON
        Lines, Parquet or SQLite.
      </Text>
    </fieldset>
  );
}
