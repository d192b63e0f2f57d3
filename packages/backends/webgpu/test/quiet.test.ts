import { expect, test } from "bun:test"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

const find = (environment: Readonly<Record<string, string>>) => {
  const source = join(import.meta.dir, "find-adapter.ts")
  const { stdout, stderr } = Bun.spawnSync([process.execPath, source], { env: { ...process.env, ...environment } })
  return { stdout: stdout.toString().trim(), stderr: stderr.toString() }
}

// Where there is no loader, or no driver, Dawn and the loader say so, each in its own words.
if (process.platform === "linux") {
  test("native libraries print nothing while an adapter is looked for, and the standard error is there afterwards", () => {
    const { stdout, stderr } = find({})
    expect(stdout).toMatch(/^(Success,Success|Failure,Failure)$/)
    expect(stderr).toBe("afterwards\n")
  })

  test("nor where a driver cannot be loaded", () => {
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
