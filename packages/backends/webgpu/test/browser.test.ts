import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { type ModulePage, missingChromium, openModule } from "@spikeroute/test-support"
import { cases } from "./cases.ts"

describe.skipIf(missingChromium !== "")(`webgpu in Chromium${missingChromium}`, () => {
  let page: ModulePage
  beforeAll(async () => {
    page = await openModule(`${import.meta.dir}/in-page.ts`)
  }, 60_000)
  afterAll(() => page?.close())

  test("runs on the page's WebGPU", async () => {
    expect(await page.call("describe")).toMatch(/the runtime's WebGPU/)
  })
  for (const { name } of cases({ memory: "own" }, true))
    test(name, async () => {
      await page.call("conforms", name)
    }, 120_000)
})
