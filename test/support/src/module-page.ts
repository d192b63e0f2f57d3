/**
 * Tests in Chromium: a module is bundled and served isolated, so that threads can share memory, and its exports are called
 * from the test.
 *
 * @example
 * const page = await openModule(`${import.meta.dir}/in-page.ts`)
 * expect(await page.call("add", 1, 2)).toBe(3)
 * await page.close() // fails if the page has said an error
 */
import { bundle, type Served, serve } from "@spikeroute/web-tools"
import type { Browser, Page } from "playwright-core"
import { launchChromium } from "./chromium.ts"

/** Gathers what a page complains of: errors of its console (its workers' too), what nobody caught, what does not load. */
export const complaints = (page: Page): ReadonlyArray<string> => {
  const said: Array<string> = []
  page.on("console", (message) => {
    if (message.type() === "error") said.push(`${message.text()} (${message.location().url})`)
  })
  page.on("pageerror", (error) => said.push(error.stack ?? error.message))
  page.on("requestfailed", (request) => said.push(`${request.url()}: ${request.failure()?.errorText}`))
  return said
}

/** A module that is loaded in a page of its own. */
export interface ModulePage {
  /** Calls an export of the module: arguments and result travel as JSON does. What it throws, this rejects with. */
  readonly call: (name: string, ...args: ReadonlyArray<unknown>) => Promise<unknown>
  /** Ends browser and server. Rejects with what the page has complained of, if it has. */
  readonly close: () => Promise<void>
}

const html = `<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,">
<script type="module">globalThis.module = await import("./entry.js")</script>`

/** Opens a page with a module, the path of a file of TypeScript, in a Chromium of its own. */
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
