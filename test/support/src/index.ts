/**
 * The one way in which tests come to a GPU and to a browser: a GPU of the machine, else SwiftShader, the software driver that every
 * Chromium holds; and Chromium itself. `bun run install:chromium` brings both where they are missing.
 */
export { isQuick, isQuickInPage } from "./cases.ts"
export { type Chromium, findChromium, launchChromium, missingChromium } from "./chromium.ts"
export { findTestAdapter, type TestAdapter } from "./gpu.ts"
export { complaints, type ModulePage, openModule } from "./module-page.ts"
