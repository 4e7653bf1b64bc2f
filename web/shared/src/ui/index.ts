export { startApp } from "./App";
export { explain, Refusal, ServiceError, type Explanation } from "./explain";
export { Frame, type Place } from "./Frame";
export { fetchJson } from "./http";
export { Empty, Failure, Loaded } from "./Notices";
export { Figure, Hash, useNow, When } from "./Shown";
export { theme } from "./theme";
