import { Alert } from "@mantine/core";
import { When } from "@openmined/shared/ui";
import { useQuery } from "@tanstack/react-query";
import { ask } from "../shared/api";

/** Says when the mine does not answer, or answers and does not work. */
export function Away() {
  const health = useQuery({
    queryKey: ["health"],
    queryFn: () => ask<{ status: "ok" | "stopped" }>("GET", "/health"),
    refetchInterval: 4_000,
    retry: false,
  });
  if (health.isError) {
    return (
      <Alert color="red" variant="light" role="alert" title="The mine does not answer">
        {health.dataUpdatedAt > 0 && (
          <>
            What you see is from <When at={health.dataUpdatedAt / 1000} />.{" "}
          </>
        )}
        See that <code>openmined mine start</code> runs on its machine; this page goes on by itself when it does.
      </Alert>
    );
  }
  if (health.data?.status === "stopped") {
    return (
      <Alert color="yellow" variant="light" role="alert" title="The mine is stopped">
        Data and settings can be changed, but it serves no campaign. Start it with <code>openmined mine start</code>.
      </Alert>
    );
  }
  return null;
}
