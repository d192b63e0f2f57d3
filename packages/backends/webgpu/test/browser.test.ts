import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { Conformance } from "@spikeroute/core/testing"
import { isQuickInPage, type ModulePage, missingChromium, openModule } from "@spikeroute/test-support"

describe.skipIf(missingChromium !== "")(`webgpu in Chromium${missingChromium}`, () => {
  let page: ModulePage
  beforeAll(async () => {
    page = await openModule(`${import.meta.dir}/in-page.ts`)
  }, 60_000)
  afterAll(() => page?.close())

  test("runs on the page's WebGPU", async () => {
    expect(await page.call("describe")).toMatch(/the runtime's WebGPU/)
  })
  for (const { name } of Conformance.cases({ memory: "own" }).filter(({ name }) => isQuickInPage(name)))
    test(name, async () => {
      await page.call("conforms", name)
    }, 120_000)
})
