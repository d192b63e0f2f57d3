import { describe, expect, test } from "bun:test"
import { missingChromium, openModule } from "../src/index.ts"

const open = () => openModule(`${import.meta.dir}/in-page.ts`)

describe.skipIf(missingChromium !== "")(`a module in Chromium${missingChromium}`, () => {
  test("runs isolated and finds its worker and its file", async () => {
    const page = await open()
    expect(await page.call("add", 1, 2)).toBe(3)
    expect(await page.call("isolated")).toBe(true)
    expect(await page.call("askWorker")).toBe("hello 21")
    await expect(page.call("none")).rejects.toThrow("the module exports no none")
    await page.close()
  })

  test("that logs an error fails the test on close", async () => {
    const page = await open()
    await page.call("complain")
    await expect(page.close()).rejects.toThrow("something is wrong")
  })
})
