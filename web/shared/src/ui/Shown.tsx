import { CopyButton, Group, Text, Tooltip, UnstyledButton } from "@mantine/core";
import { type ReactNode, useEffect, useState } from "react";
import { formatExact, formatRelative, shortHash } from "../format";

/** The time now in unix seconds, anew every few seconds. */
export function useNow(everyMs = 5_000): number {
  const [now, setNow] = useState(() => Date.now() / 1000);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now() / 1000), everyMs);
    return () => clearInterval(timer);
  }, [everyMs]);
  return now;
}

/** A time: relative to read, exact on hover and for machines. */
export function When({ at }: { at: number }) {
  const now = useNow();
  const exact = formatExact(at);
  return (
    <Tooltip label={exact}>
      <time dateTime={exact.replace(" UTC", "Z").replace(" ", "T")}>{formatRelative(at, now)}</time>
    </Tooltip>
  );
}

/** An address, digest or CID: short, whole on hover, a link where it leads somewhere, copied at a click. */
export function Hash({ text, href, label }: { text: string; href?: string | undefined; label?: string }) {
  const short = shortHash(text);
  const shown = href ? (
    <a href={href} rel="noreferrer">
      {short}
    </a>
  ) : (
    short
  );
  return (
    <Group gap={4} wrap="nowrap" display="inline-flex">
      <Tooltip label={text} maw={320} multiline style={{ overflowWrap: "anywhere" }}>
        <span className="om-hash" style={{ whiteSpace: "nowrap" }}>
          {shown}
        </span>
      </Tooltip>
      <CopyButton value={text}>
        {({ copied, copy }) => (
          <UnstyledButton onClick={copy} aria-label={copied ? "Copied" : `Copy ${label ?? short}`} fz="xs" className="om-muted" px={4}>
            <CopyIcon done={copied} />
          </UnstyledButton>
        )}
      </CopyButton>
    </Group>
  );
}

function CopyIcon({ done }: { done: boolean }) {
  const path = done ? "M3 8.5l3.2 3.2L13 4.8" : "M5.5 5.5v-3h8v8h-3M2.5 5.5h8v8h-8z";
  return (
    <svg width="12" height="12" viewBox="0 0 16 16" aria-hidden="true" style={{ display: "block" }}>
      <path d={path} fill="none" stroke="currentColor" strokeWidth="1.5" strokeLinejoin="round" strokeLinecap="round" />
    </svg>
  );
}

/** A figure with its name. */
export function Figure({ label, children, note }: { label: string; children: ReactNode; note?: ReactNode }) {
  return (
    <div>
      <Text size="sm" className="om-muted">
        {label}
      </Text>
      <Text fw={600} size="lg" component="div">
        {children}
      </Text>
      {note !== undefined && (
        <Text size="sm" className="om-muted" component="div">
          {note}
        </Text>
      )}
    </div>
  );
}
