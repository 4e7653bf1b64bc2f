export { sonarAbi } from "../generated/abi";
export { auditHistory, type AuditReport, type Finding, type PayoutCheck } from "./audit";
export { auditCampaign, readState } from "./campaign";
export { readEvents, type SonarEvent, type SonarPlace } from "./events";
export { foldHistory, NO_MODEL, paidBy, type History, type Terms } from "./history";
