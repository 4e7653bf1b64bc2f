import { defineConfig } from "vite";
import { appConfig } from "../vite.base";

export default defineConfig(appConfig("../../src/openmined/mine/_static"));
