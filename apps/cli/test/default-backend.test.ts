import { expect, test } from "bun:test"
import { cpSync, mkdirSync } from "node:fs"
import { dirname, join } from "node:path"
import { build } from "@spikeroute/backend-native"
import { readJson, runWith, temporaryDirectory } from "./support.ts"

const directory = temporaryDirectory()
const settings = "train --limit 64 --batch-size 8 --time-steps 3 --epochs 1".split(" ")

/** The native library; absent without a compiler. */
const library = await build().catch(() => undefined)

const withoutCompiler = (cache: string) => ({ CC: "no-such-compiler", XDG_CACHE_HOME: join(directory, cache) })

test("without a compiler or a built library, WebAssembly is used, and doctor reports why", async () => {
  const out = join(directory, "wasm-run")
  const { code } = await runWith(withoutCompiler("empty"), ...settings, "--out", out)
  expect(code).toBe(0)
  expect(readJson(out, "config.json").backend).toBe("wasm")
  const { stdout } = await runWith(withoutCompiler("empty"), "doctor")
  expect(stdout).toMatch(/native +does not work: .*there is no C compiler: no-such-compiler cannot be run/)
  expect(stdout).toMatch(/^wasm +works/m)
})

if (library !== undefined)
  test("without a compiler, a previously built library is used", async () => {
    const folder = join(directory, "full", "spikeroute", "native")
    mkdirSync(folder, { recursive: true })
    cpSync(dirname(library), folder, { recursive: true })
    const out = join(directory, "native-run")
    const { code } = await runWith(withoutCompiler("full"), ...settings, "--out", out)
    expect(code).toBe(0)
    expect(readJson(out, "config.json").backend).toBe("native")
  })
