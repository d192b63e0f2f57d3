import { expect, test } from "bun:test"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

const find = (environment: Readonly<Record<string, string>>) => {
  const source = join(import.meta.dir, "find-adapter.ts")
  const { stdout, stderr } = Bun.spawnSync([process.execPath, source], { env: { ...process.env, ...environment } })
  return { stdout: stdout.toString().trim(), stderr: stderr.toString() }
}

// Without a loader or a driver, Dawn and the loader each print their own messages.
if (process.platform === "linux") {
  test("native libraries print nothing during the search for an adapter, and the standard error works afterwards", () => {
    const { stdout, stderr } = find({})
    expect(stdout).toMatch(/^(Success,Success|Failure,Failure)$/)
    expect(stderr).toBe("afterwards\n")
  })

  test("nothing is printed if a driver cannot be loaded", () => {
    const folder = mkdtempSync(join(tmpdir(), "driver-"))
    try {
      const manifest = join(folder, "driver.json")
      const ICD = { library_path: join(folder, "none.so"), api_version: "1.1.0" }
      writeFileSync(manifest, JSON.stringify({ file_format_version: "1.0.0", ICD }))
      const found = find({ VK_ICD_FILENAMES: manifest, VK_DRIVER_FILES: manifest })
      expect(found).toEqual({ stdout: "Failure,Failure", stderr: "afterwards\n" })
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
}
