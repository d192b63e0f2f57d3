import { expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { type AnyKernel, kernels, Program } from "@spikeroute/core"
import { fastPaths, opcodes } from "../src/encode.ts"
import { kernelTable, segmentNumbers } from "../src/packed.ts"

/** The rows of kernels.def. */
const rows = Array.from(
  readFileSync(new URL("../c/kernels.def", import.meta.url), "utf8").matchAll(
    /^ROW\(\w+, "(.+?)", "(\w+)", (\d+), \w+, \w+\)$/gm,
  ),
  ([, name, operands, attributes]) => ({ name, operands: operands as string, attributes }),
)

test("opcodes are the rows of kernels.def", () => {
  expect(rows.map(({ name }) => name as string)).toEqual([...opcodes])
})

test("the rows have core's operands and mark the optional ones", () => {
  for (const { name, operands } of rows) {
    const optional = [...operands].map((letter) => letter !== letter.toLowerCase())
    const fast = fastPaths[name as string]
    if (fast) expect(optional).toHaveLength(Object.keys(fast).length)
    if (fast) continue
    const signature = Object.values((kernels.get(name as string) as AnyKernel).operands as Record<string, string>)
    expect({ name, optional }).toEqual({ name, optional: signature.map((access) => access.endsWith("?")) })
  }
})

test("kernelTable is the hash of kernels.def (if it has changed, put the new value into packed.ts)", () => {
  let hash = 0x811c9dc5
  for (const { name, operands, attributes } of rows)
    for (const character of `${name} ${operands} ${attributes};`)
      hash = Math.imul(hash ^ character.charCodeAt(0), 0x01000193)
  expect(kernelTable).toBe(hash >>> 0)
})

test("the numbers of inference segments match core's", () => {
  for (const [name, number] of Object.entries(segmentNumbers)) expect(Program.segmentNames[number] as string).toBe(name)
})
