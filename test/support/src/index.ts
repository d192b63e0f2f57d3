/**
 * Access to a GPU and a browser for all tests: the machine's GPU, or SwiftShader, the software driver included in Chromium; and Chromium
 * itself. `bun run install:chromium` installs both.
 */
export { isQuick, isQuickInPage } from "./cases.ts"
export { type Chromium, findChromium, launchChromium, missingChromium } from "./chromium.ts"
export { findTestAdapter, type TestAdapter } from "./gpu.ts"
export { complaints, type ModulePage, openModule } from "./module-page.ts"
