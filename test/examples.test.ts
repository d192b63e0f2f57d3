import { expect, test } from "bun:test"
import { fileURLToPath } from "node:url"

const printed = async (example: string): Promise<string> => {
  const file = fileURLToPath(new URL(`../examples/${example}`, import.meta.url))
  const child = Bun.spawn([process.execPath, file], { stdout: "pipe" })
  const text = await new Response(child.stdout).text()
  expect(await child.exited).toBe(0)
  return text
}

test("neuron.ts: spikes become rarer, and each channel learns a decay", async () => {
  const text = await printed("neuron.ts")
  const [, early, later] = /(\d+) spikes in the first ten steps, (\d+) in the next ten/.exec(text) ?? []
  expect(Number(early)).toBeGreaterThan(Number(later))
  expect(text).toContain("decay [3]")
})

test("recurrent.ts: every policy learns; SLTT's memory is a fraction of BPTT's", async () => {
  const rows = [...(await printed("recurrent.ts")).matchAll(/^(\S+) +([\d.]+) KB +loss ([\d.]+) +(\d+) %$/gm)]
  expect(rows.map(([, policy]) => policy)).toEqual(["bptt", "bptt-detach(recurrent)", "sltt"])
  // Chance level is one of three.
  for (const [, , , , accuracy] of rows) expect(Number(accuracy)).toBeGreaterThan(80)
  expect(Number(rows[2]?.[2])).toBeLessThan(Number(rows[0]?.[2]) / 4)
})

test("sequence.ts: each kind of wave is recognised in nearly all labelled steps", async () => {
  const text = await printed("sequence.ts")
  const rows = [...text.matchAll(/^(\S+) +(\d+) % of (\d+) steps$/gm)]
  expect(rows.map(([, name]) => name)).toEqual(["none", "P", "QRS", "T"])
  for (const [, , right] of rows) expect(Number(right)).toBeGreaterThan(85)
  const [, ignored] = /^(\d+) steps do not count$/m.exec(text) ?? []
  expect(rows.reduce((sum, [, , , count]) => sum + Number(count), Number(ignored))).toBe(80 * 16)
})

test("regression.ts: targets at each step are followed, with squared error and with a custom term", async () => {
  const rows = [...(await printed("regression.ts")).matchAll(/^(.+?) +(\d+) % of the variance explained$/gm)]
  expect(rows.map(([, name]) => name)).toEqual(["squared error", "own term"])
  for (const [, , explained] of rows) expect(Number(explained)).toBeGreaterThan(85)
})

test("promises.ts: a network trained with the promise API generalises to new signals", async () => {
  const [, right] = /(\d+) % of 90 others are right/.exec(await printed("promises.ts")) ?? []
  expect(Number(right)).toBeGreaterThan(90)
})

test("optimizer.ts: a custom optimiser learns, and checkpoints contain its states", async () => {
  const text = await printed("optimizer.ts")
  const losses = [...text.matchAll(/^loss ([\d.]+)$/gm)].map(([, loss]) => Number(loss))
  expect(losses).toHaveLength(100)
  expect(losses.at(-1)).toBeLessThan(0.3 * (losses[0] as number))
  expect(text).toContain("optimizer/squares/2.bias")
})
