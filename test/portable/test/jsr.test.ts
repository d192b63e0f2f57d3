import { expect, test } from "bun:test"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { deno } from "@spikeroute/publish-tools/deno"
import { stage } from "@spikeroute/publish-tools/jsr"
import { repository, run } from "../src/project.ts"

test("JSR accepts the packages: every public type is explicit", async () => {
  const folder = await mkdtemp(join(tmpdir(), "spikeroute-jsr-"))
  try {
    const names = await stage(repository, folder)
    const { exitCode, stderr } = await run([deno, "publish", "--dry-run", "--no-check", "--allow-dirty"], folder)
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: expect.stringContaining("Dry run complete") })
    for (const name of names) expect(stderr).toContain(`Simulating publish of ${name}@`)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}, 60_000)
