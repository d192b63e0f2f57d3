import { expect, test } from "bun:test"
import { mkdtempSync, rmSync } from "node:fs"
import { totalmem } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { build } from "../src/index.ts"
import { unavailable } from "./configurations.ts"

const source = fileURLToPath(new URL("./train-raw.ts", import.meta.url))

const print = (command: ReadonlyArray<string>): string => {
  const { stdout, stderr, exitCode } = Bun.spawnSync([...command])
  expect(`${exitCode} ${stderr}`).toBe("0 ")
  return stdout.toString()
}

if (unavailable === undefined)
  test("Node with koffi and Bun with bun:ffi give bit-identical results, also beyond 4 GiB", async () => {
    const library = await build()
    // In a folder from which Node resolves koffi.
    const folder = mkdtempSync(fileURLToPath(new URL("../node_modules/bundle-", import.meta.url)))
    try {
      const { success } = await Bun.build({
        entrypoints: [source],
        outdir: folder,
        target: "node",
        external: ["koffi"],
        naming: "bundle.mjs",
      })
      expect(success).toBe(true)
      const offsets = totalmem() > 2 ** 33 ? [0, 2 ** 32] : [0]
      const printed = offsets.flatMap((offset) => [
        print(["node", join(folder, "bundle.mjs"), library, `${offset}`]),
        print([process.execPath, source, library, `${offset}`]),
      ])
      expect(printed[0]).toMatch(/^[0-9a-f]{64}\nBackendError 2 true\n$/)
      expect(printed).toEqual(printed.map(() => printed[0] as string))
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
