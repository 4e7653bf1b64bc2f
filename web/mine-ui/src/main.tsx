import "@mantine/core/styles.css";
import "@openmined/shared/ui/base.css";
import { startApp } from "@openmined/shared/ui";
import { App } from "./app/App";

startApp(<App />);
