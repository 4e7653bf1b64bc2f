import react from "@vitejs/plugin-react";
import type { UserConfig } from "vite";

/** What both applications are built with: plain files, hashed names, no inline script. */
export function appConfig(outDir: string): UserConfig {
  return {
    plugins: [react()],
    css: { postcss: new URL(".", import.meta.url).pathname },
    build: {
      outDir,
      emptyOutDir: true,
      assetsInlineLimit: 0,
      modulePreload: { polyfill: false },
      manifest: "manifest.json",
      target: "es2023",
      chunkSizeWarningLimit: 700,
    },
  };
}
