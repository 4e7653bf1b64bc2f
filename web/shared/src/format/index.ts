export { ETH, formatAmount, parseAmount, type Token } from "./amount";
export { formatBytes, formatCount, formatPercent, formatPoints, formatPpm, parsePercent, shortHash } from "./numbers";
export { formatDuration, formatExact, formatRelative } from "./time";
