/**
 * Tests in Chromium: bundles a module, serves it cross-origin isolated so that threads can share memory, and calls its exports from the test.
 *
 * @example
 * const page = await openModule(`${import.meta.dir}/in-page.ts`)
 * expect(await page.call("add", 1, 2)).toBe(3)
 * await page.close() // fails if the page has logged an error
 */
import { bundle, type Served, serve } from "@spikeroute/web-tools"
import type { Browser, Page } from "playwright-core"
import { launchChromium } from "./chromium.ts"

/** Collects a page's errors: console errors (also of workers), uncaught exceptions, failed requests. */
export const complaints = (page: Page): ReadonlyArray<string> => {
  const said: Array<string> = []
  page.on("console", (message) => {
    if (message.type() === "error") said.push(`${message.text()} (${message.location().url})`)
  })
  page.on("pageerror", (error) => said.push(error.stack ?? error.message))
  page.on("requestfailed", (request) => said.push(`${request.url()}: ${request.failure()?.errorText}`))
  return said
}

/** A module loaded in its own page. */
export interface ModulePage {
  /** Calls an export with JSON arguments and result. Rejects if it throws. */
  readonly call: (name: string, ...args: ReadonlyArray<unknown>) => Promise<unknown>
  /** Stops browser and server. Rejects if the page has logged errors. */
  readonly close: () => Promise<void>
}

const html = `<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,">
<script type="module">globalThis.module = await import("./entry.js")</script>`

/** Opens a page with a TypeScript module in a new Chromium. */
export const openModule = async (entry: string): Promise<ModulePage> => {
  const files = new Map([...(await bundle(entry)), ["index.html", new Blob([html], { type: "text/html" })]])
  const served = serve(files)
  const browser = await launchChromium()
  const page = await browser.newPage()
  const said = complaints(page)
  await page.goto(served.address)
  await Promise.race([page.waitForFunction("globalThis.module"), page.waitForEvent("pageerror")])
  return {
    call: (name, ...args) => page.evaluate(callExport, [name, args] as const),
    close: () => close(browser, served, said),
  }
}

/** Runs in the page. */
const callExport = ([name, args]: readonly [string, ReadonlyArray<unknown>]): unknown => {
  const { module } = globalThis as unknown as {
    readonly module: Readonly<Record<string, (...args: ReadonlyArray<unknown>) => unknown>>
  }
  const exported = module[name]
  if (exported === undefined) throw new Error(`the module exports no ${name}`)
  return exported(...args)
}

const close = async (browser: Browser, served: Served, said: ReadonlyArray<string>): Promise<void> => {
  await browser.close()
  await served.stop()
  if (said.length > 0) throw new Error(`the page said:\n${said.join("\n")}`)
}
