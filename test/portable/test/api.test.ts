import { expect, test } from "bun:test"
import { mkdtemp, readFile, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { makeReference } from "@spikeroute/publish-tools/api"
import { repository } from "../src/project.ts"

test("the API reference contains the packages' symbols and their doc comments", async () => {
  const folder = await mkdtemp(join(tmpdir(), "spikeroute-api-"))
  try {
    await makeReference(repository, folder)
    const index = await readFile(join(folder, "search_index.js"), "utf8")
    for (const name of ["Policy.truncate", "Train.makePredictor", "conv2d", "fromModule", "openInWorkers"])
      expect(index).toContain(`"${name}"`)
    const pages = [...new Bun.Glob("**/~/Policy.truncate.html").scanSync({ cwd: folder })]
    expect(await readFile(join(folder, pages[0] as string), "utf8")).toContain("Williams &amp; Peng, 1990")
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}, 60_000)
