/**
 * `bun apps/playground/scripts/measure.ts`: time from a cold load of the page to the end of its first training step, each time in a new
 * browser. Exits with 1 if the median exceeds the limit, or if the page logs an error.
 */
import { complaints, launchChromium, missingChromium } from "@spikeroute/test-support"
import { serve } from "@spikeroute/web-tools"
import { makeSite } from "../src/site.ts"

const rounds = 7
/** Milliseconds. */
const limit = 2000

if (missingChromium !== "") {
  process.stderr.write(`error: there is no browser${missingChromium}\n`)
  process.exit(2)
}

const served = serve(await makeSite({ minify: true }))
const times: Array<number> = []
const said: Array<string> = []
for (let round = 0; round < rounds; round++) {
  const browser = await launchChromium()
  try {
    const page = await browser.newPage()
    const complained = complaints(page)
    await page.goto(served.address)
    const mark = await page.waitForFunction(() => performance.getEntriesByName("first-training-step")[0]?.startTime)
    times.push((await mark.jsonValue()) ?? Number.NaN)
    said.push(...complained)
  } finally {
    await browser.close()
  }
}
await served.stop()

times.sort((a, b) => a - b)
const [least, median, most] = [0, rounds >> 1, rounds - 1].map((i) => times[i] as number) as [number, number, number]
const seconds = (milliseconds: number) => `${(milliseconds / 1000).toFixed(2)} s`
process.stdout.write(
  `cold load to first training step in ${rounds} browsers: median ${seconds(median)} (limit ${seconds(limit)}), ${seconds(least)} to ${seconds(most)}\n`,
)
for (const complaint of said) process.stderr.write(`error: the page logged: ${complaint}\n`)
if (!(median <= limit)) process.stderr.write(`error: ${seconds(median)} is over ${seconds(limit)}\n`)
process.exit(said.length > 0 || !(median <= limit) ? 1 : 0)
