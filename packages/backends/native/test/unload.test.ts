import { expect, test } from "bun:test"
import { fileURLToPath } from "node:url"
import { build } from "../src/index.ts"
import { unavailable } from "./configurations.ts"

const source = fileURLToPath(new URL("./unload.ts", import.meta.url))

const stays = (library: string, threads: number): string => {
  const { stdout, stderr, exitCode } = Bun.spawnSync([process.execPath, source, library, `${threads}`])
  expect(`${exitCode} ${stderr}`).toBe("0 ")
  return stdout.toString().trim()
}

if (unavailable === undefined && process.platform === "linux")
  test("a library that the runtime unloads stays mapped while its threads run", async () => {
    const library = await build()
    expect(stays(library, 1)).toBe("false")
    expect(stays(library, 3)).toBe("true")
  })
