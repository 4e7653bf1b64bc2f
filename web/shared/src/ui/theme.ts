import { createTheme, type MantineColorsTuple } from "@mantine/core";

const ink: MantineColorsTuple = [
  "#eef3fb",
  "#dbe4f2",
  "#b5c8e4",
  "#8ba9d6",
  "#688fca",
  "#527fc3",
  "#4576c1",
  "#3664aa",
  "#2d5899",
  "#1f4c88",
];

/** One look for both applications: quiet greys, one blue, figures that line up. */
export const theme = createTheme({
  primaryColor: "ink",
  primaryShade: { light: 8, dark: 7 },
  colors: { ink },
  autoContrast: true,
  defaultRadius: "sm",
  cursorType: "pointer",
  respectReducedMotion: true,
  fontFamily: 'system-ui, -apple-system, "Segoe UI", "Noto Sans", "DejaVu Sans", sans-serif',
  fontFamilyMonospace: 'ui-monospace, "SF Mono", "DejaVu Sans Mono", monospace',
  // The colour of an alert's frame says what kind it is; its words have to be readable.
  components: {
    Alert: { styles: { label: { color: "var(--mantine-color-text)" } } },
    // What is wider than the screen shows that it goes on.
    ScrollArea: { defaultProps: { type: "auto", offsetScrollbars: "present" } },
  },
  headings: { fontWeight: "600", sizes: { h1: { fontSize: "1.6rem" }, h2: { fontSize: "1.2rem" }, h3: { fontSize: "1rem" } } },
});
