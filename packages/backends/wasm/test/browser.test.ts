import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { Conformance } from "@spikeroute/core/testing"
import { type ModulePage, missingChromium, openModule } from "@spikeroute/test-support"

describe.skipIf(missingChromium !== "")(`in Chromium${missingChromium}`, () => {
  let page: ModulePage
  beforeAll(async () => {
    page = await openModule(`${import.meta.dir}/in-page.ts`)
  }, 60_000)
  afterAll(() => page?.close())

  for (const [threads, said] of [
    [1, "1 thread"],
    [3, "3 threads"],
  ] as const)
    describe(said, () => {
      test("the backend reports the number of threads", async () => {
        expect(await page.call("describe", threads)).toEndWith(`, ${said}`)
      })
      for (const { name } of Conformance.cases({ memory: "own" }))
        test(name, async () => {
          await page.call("conforms", threads, name)
        }, 120_000)
    })
})
