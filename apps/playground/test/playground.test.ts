import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { complaints, launchChromium, missingChromium } from "@spikeroute/test-support"
import { type Served, serve } from "@spikeroute/web-tools"
import type { BrowserContextOptions, Page } from "playwright-core"
import { makeSite } from "../src/site.ts"

const axe = readFileSync(fileURLToPath(import.meta.resolve("axe-core/axe.min.js")), "utf8")
const phone = { width: 375, height: 812 }
const patience = 120_000

describe.skipIf(missingChromium !== "")(`the playground in Chromium${missingChromium}`, () => {
  let served: Served
  beforeAll(async () => {
    served = serve(await makeSite({ minify: true }))
  }, patience)
  afterAll(() => served?.stop())

  /** Uses the page in a new browser, and fails if the page logs an error. */
  const visit = async (
    use: (page: Page) => Promise<void>,
    options: BrowserContextOptions = {},
    prepare: (page: Page) => Promise<unknown> = async () => {},
  ): Promise<void> => {
    const browser = await launchChromium()
    const page = await browser.newPage(options)
    await prepare(page)
    page.setDefaultTimeout(patience)
    const said = complaints(page)
    try {
      await page.goto(served.address)
      await use(page)
      expect(said).toEqual([])
    } finally {
      await browser.close()
    }
  }

  const number = async (page: Page, id: string): Promise<number> =>
    Number.parseFloat((await page.textContent(`#${id}`)) ?? "")
  const updates = (page: Page, least: number) =>
    page.waitForFunction((least) => Number(document.getElementById("updates")?.textContent) >= least, least)
  const memory = async (page: Page, policy: string): Promise<number> =>
    Number(await page.getAttribute(`#costs tr.${policy} [data-bytes]`, "data-bytes"))
  const setSteps = async (page: Page, steps: number): Promise<void> => {
    await page.fill("#time-steps", String(steps))
    await page.waitForFunction(
      (steps) => document.getElementById("time-steps")?.getAttribute("aria-valuetext")?.startsWith(`${steps}:`),
      steps,
    )
  }
  /** Draws a stroke on the pad; corners are relative to its size. */
  const draw = async (page: Page, ...corners: ReadonlyArray<readonly [x: number, y: number]>): Promise<void> => {
    await page.locator("#pad").scrollIntoViewIfNeeded()
    const box = (await page.locator("#pad").boundingBox())!
    const move = ([x, y]: readonly [number, number], steps: number) =>
      page.mouse.move(box.x + x * box.width, box.y + y * box.height, { steps })
    await move(corners[0]!, 1)
    await page.mouse.down()
    for (const corner of corners) await move(corner, 5)
    await page.mouse.up()
  }
  const one = [
    [0.5, 0.15],
    [0.5, 0.85],
  ] as const
  const seven = [
    [0.2, 0.2],
    [0.8, 0.2],
    [0.4, 0.85],
  ] as const

  test(
    "trains on several threads as soon as it is loaded, and the loss falls",
    () =>
      visit(async (page) => {
        await updates(page, 1)
        const first = await page.evaluate(() => performance.getEntriesByName("first-training-step")[0]?.startTime)
        console.log(`the first training step ends ${((first ?? Number.NaN) / 1000).toFixed(2)} s after a cold load`)
        expect(await page.textContent("#machine")).toContain("WebAssembly")
        const threads = await page.evaluate(() => Math.min(4, navigator.hardwareConcurrency))
        expect(await page.textContent("#machine")).toContain(`${threads} thread`)
        const before = await number(page, "loss")
        await updates(page, 100)
        expect(await number(page, "loss")).toBeLessThan(0.75 * before)
        expect(await number(page, "test")).toBeGreaterThan(30)
        expect(await page.locator("#raster .spike").count()).toBe(2)
        expect(await page.textContent("#raster-text")).toMatch(/Layer 1: of 4,096 neurons [1-9]\d? % fire/)
        expect(await page.locator("#membranes .fired").count()).toBeGreaterThan(0)
        expect(await page.locator("#answers li").count()).toBe(10)
      }),
    patience,
  )

  test(
    "with the slider, BPTT's planned memory grows linearly and SLTT's stays constant",
    () =>
      visit(async (page) => {
        const planned: Array<ReadonlyArray<number>> = []
        for (const steps of [8, 16, 32]) {
          await setSteps(page, steps)
          planned.push([await memory(page, "bptt"), await memory(page, "sltt"), await memory(page, "slttk")])
        }
        const [at8, at16, at32] = planned as [ReadonlyArray<number>, ReadonlyArray<number>, ReadonlyArray<number>]
        expect(at32[0]! - at16[0]!).toBe(2 * (at16[0]! - at8[0]!))
        expect(at16[0]!).toBeGreaterThan(1.5 * at8[0]!)
        expect(at8[1]!).toBeGreaterThan(0)
        for (const other of [at16, at32]) expect(other.slice(1)).toEqual(at8.slice(1))
        expect(at8[0]!).toBeGreaterThan(at8[1]!)
      }),
    patience,
  )

  test(
    "measures an iteration under every policy without changing the weights",
    () =>
      visit(async (page) => {
        await updates(page, 5)
        await page.click("#toggle")
        await page.waitForSelector("#status:has-text('Paused')")
        const before = await page.textContent("#updates")
        await page.click("#measure")
        await page.waitForSelector("#said:has-text('Measured')", { state: "attached" })
        expect(await page.textContent("#said")).toMatch(/^Measured: BPTT [\d.]+ ms, SLTT [\d.]+ ms, SLTT-K [\d.]+ ms$/)
        expect(await page.textContent("#updates")).toBe(before!)
      }),
    patience,
  )

  test(
    "trains on WebGPU if the browser has it",
    () =>
      visit(async (page) => {
        const choice = page.locator("label:has(input[value=webgpu])")
        await choice.waitFor()
        if (await page.isDisabled("input[value=webgpu]")) {
          expect(await choice.textContent()).not.toBe("WebGPU")
          return
        }
        await setSteps(page, 1)
        await page.check("input[value=webgpu]")
        await page.waitForSelector("#machine:has-text('WebGPU')")
        await updates(page, 1)
        expect(await number(page, "loss")).toBeCloseTo(2.2, 0)
      }),
    patience,
  )

  test(
    "says why a backend cannot run, and loads it again on restart",
    () =>
      visit(
        async (page) => {
          await page.waitForSelector("#status:has-text('error: backend wasm cannot run here')")
          await page.context().unroute("**/*.wasm")
          await page.click("#restart")
          await updates(page, 2)
          expect(await page.textContent("#status")).toContain("Training")
        },
        {},
        (page) => page.context().route("**/*.wasm", (route) => route.fulfill({ body: "no module" })),
      ),
    patience,
  )

  test(
    "can be used with the keyboard alone",
    () =>
      visit(async (page) => {
        const focused = () => page.evaluate(() => document.activeElement?.id || document.activeElement?.textContent)
        await updates(page, 1)
        await page.keyboard.press("Tab")
        expect(await focused()).toBe("Skip to the results")
        await page.keyboard.press("Tab")
        expect(await focused()).toBe("toggle")
        await page.keyboard.press("Space")
        await page.waitForSelector("#status:has-text('Paused')")
        await page.keyboard.press("Enter")
        await page.waitForSelector("#status:has-text('Training')")

        await page.focus("input[value=sltt]")
        await page.keyboard.press("ArrowDown")
        await page.waitForSelector("#status:has-text('Training with SLTT-2, T = 8')")
        await page.focus("#time-steps")
        await page.keyboard.press("ArrowRight")
        await page.waitForSelector("#status:has-text('T = 9')")
        expect(await page.getAttribute("#time-steps", "aria-valuetext")).toMatch(/^9: BPTT [\d.]+ MB, SLTT /)

        await page.focus("input[value=camera]")
        await page.keyboard.press("ArrowDown")
        await page.waitForSelector("#status:has-text('Draw at least two')")
        await page.focus("#pad")
        for (const digit of ["1", "7"]) {
          await page.keyboard.press("Space")
          for (let i = 0; i < 5; i++) await page.keyboard.press(digit === "1" ? "ArrowDown" : "ArrowRight")
          expect(await page.textContent("#pad-said")).toEndWith("drawing")
          await page.keyboard.press("Space")
          await page.keyboard.press(digit)
        }
        expect(
          await page.locator("#drawings canvas").evaluateAll((all) => all.map(({ ariaLabel }) => ariaLabel)),
        ).toEqual(["drawing 1: 1", "drawing 2: 7"])
        await page.waitForSelector("#status:has-text('Training')")
      }),
    patience,
  )

  test(
    "learns drawn digits, recognises new ones, and stores them",
    () =>
      visit(async (page) => {
        await page.check("input[value=digits]")
        await page.click("[aria-label='Keep as 7']")
        expect(await page.textContent("#said")).toContain("The pad is empty")
        await draw(page, ...one)
        await page.click("[aria-label='Keep as 1']")
        await draw(page, ...seven)
        await page.click("[aria-label='Keep as 7']")
        await updates(page, 80)
        for (const [digit, corners] of [
          ["1", one],
          ["7", seven],
        ] as const) {
          await draw(page, ...corners.map(([x, y]) => [x + 0.06, y + 0.03] as const))
          await page.waitForSelector(`#verdict:has-text('The network says ${digit}')`)
          await page.click("#clear")
        }
        await page.reload()
        expect(await page.locator("#drawings li").count()).toBe(2)
      }),
    patience,
  )

  test(
    "is accessible in light and dark mode with both tasks",
    async () => {
      for (const colorScheme of ["light", "dark"] as const)
        await visit(
          async (page) => {
            await updates(page, 1)
            for (const task of ["camera", "digits"]) {
              await page.check(`input[value=${task}]`)
              if (task === "digits") await draw(page, ...one)
              await page.evaluate(axe)
              const found = await page.evaluate(async () => {
                const { axe } = globalThis as unknown as {
                  axe: { run: () => Promise<{ violations: Array<{ id: string; nodes: Array<{ html: string }> }> }> }
                }
                const { violations } = await axe.run()
                return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`)
              })
              expect(found).toEqual([])
            }
          },
          { colorScheme, reducedMotion: "reduce" },
        )
    },
    patience,
  )

  test(
    "fits a phone",
    () =>
      visit(
        async (page) => {
          await updates(page, 1)
          for (const task of ["camera", "digits"]) {
            await page.check(`input[value=${task}]`)
            await setSteps(page, 64)
            expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(phone.width)
          }
        },
        { viewport: phone },
      ),
    patience,
  )
})
