/** Sending a file to the mine, with progress: `fetch` cannot tell how far an upload is. */

import { formatBytes } from "@openmined/shared/format";
import { detailIn, Refusal, ServiceError } from "@openmined/shared/ui";
import { API } from "../../shared/api";
import { MAX_UPLOAD_BYTES } from "./plan";

export interface Upload {
  readonly upload: string;
  readonly name: string;
  readonly bytes: number;
}

/** Refuses, with the reason, what need not be sent. */
export function checkFile(file: File): void {
  if (file.size > MAX_UPLOAD_BYTES) {
    throw new Refusal(
      "The file is too large to be sent",
      `${file.name.slice(0, 100)} has ${formatBytes(file.size)}; at most ${formatBytes(MAX_UPLOAD_BYTES)} can be sent, because the mine holds uploads in memory and never on a disk. Put the file on the mine’s machine and give its path instead.`,
    );
  }
  if (file.size === 0)
    throw new Refusal("The file is empty", `${file.name.slice(0, 100)} has no bytes. A folder has to be made a zip archive first.`);
}

export function sendFile(file: File, progress: (sent: number) => void, signal: AbortSignal): Promise<Upload> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", `${API}/uploads`);
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.setRequestHeader("X-File-Name", encodeURIComponent(file.name.slice(-100)));
    request.responseType = "json";
    request.upload.onprogress = (event) => progress(event.loaded);
    request.onload = () => {
      if (request.status === 200) resolve(request.response as Upload);
      else reject(new ServiceError(request.status, detailIn(request.response ?? {})));
    };
    request.onerror = () =>
      reject(
        new Refusal(
          "The file did not arrive",
          "The connection to the mine broke. See that it runs, and that its machine has memory free; then choose the file again.",
        ),
      );
    request.onabort = () => reject(new Refusal("Cancelled", "Nothing was kept of the file."));
    signal.addEventListener("abort", () => request.abort());
    request.send(file);
  });
}
