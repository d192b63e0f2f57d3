import { expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { type AnyKernel, kernels } from "@spikeroute/core"
import { opcodes } from "../src/encode.ts"

/** The rows of kernels.def. */
const rows = Array.from(
  readFileSync(new URL("../c/kernels.def", import.meta.url), "utf8").matchAll(
    /^ROW\(\w+, "(.+?)", "(\w+)", (\d+), \w+\)$/gm,
  ),
  ([, name, operands]) => ({ name, operands: operands as string }),
)

test("an opcode is a row of kernels.def", () => {
  expect(rows.map(({ name }) => name as string)).toEqual([...opcodes])
})

test("the rows have core's operands, and know which may be absent", () => {
  for (const { name, operands } of rows) {
    const signature = Object.values((kernels.get(name as string) as AnyKernel).operands as Record<string, string>)
    const optional = [...operands].map((letter) => letter !== letter.toLowerCase())
    expect({ name, optional }).toEqual({ name, optional: signature.map((access) => access.endsWith("?")) })
  }
})
