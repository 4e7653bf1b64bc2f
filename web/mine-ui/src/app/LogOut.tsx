import { Button } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { ask } from "../shared/api";
import { dropDrafts } from "../shared/draft";

export function LogOut() {
  const queries = useQueryClient();
  const leave = useMutation({
    mutationFn: () => ask("DELETE", "/session"),
    onSuccess: () => {
      dropDrafts();
      queries.clear();
      location.assign("/");
    },
  });
  return (
    <Button variant="default" size="sm" loading={leave.isPending} onClick={() => leave.mutate()}>
      Log out
    </Button>
  );
}
