export { sonarAbi } from "../generated/abi";
export { type AuditReport, auditHistory, type Finding, type PayoutCheck } from "./audit";
export { auditCampaign, readState } from "./campaign";
export { readEvents, type SonarEvent, type SonarPlace } from "./events";
export { foldHistory, type History, NO_MODEL, paidBy, type Terms } from "./history";
