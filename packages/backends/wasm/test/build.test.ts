import { expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { gzipSync } from "node:zlib"
import { build, builtFolder } from "../scripts/build.ts"

test("the committed modules match a fresh build", async () => {
  for (const [name, bytes] of await build())
    expect(`${name} ${Bun.hash(readFileSync(new URL(name, builtFolder)))}`).toBe(`${name} ${Bun.hash(bytes)}`)
}, 120_000)

test("the module for the edge is small", () => {
  expect(gzipSync(readFileSync(new URL("spikeroute.wasm", builtFolder))).length).toBeLessThan(60 * 1024)
})
