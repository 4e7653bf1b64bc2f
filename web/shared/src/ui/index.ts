export { startApp } from "./App";
export { Boundary, NotHere } from "./Boundary";
export { type Explanation, explain, Refusal, ServiceError } from "./explain";
export { explorerLink } from "./explorer";
export { Frame, type Place } from "./Frame";
export { detailIn, fetchJson } from "./http";
export { Empty, Failure, Loaded } from "./Notices";
export { Figure, Hash, useNow, When } from "./Shown";
export { theme } from "./theme";
