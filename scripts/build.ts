// `bun run build`: compiles all packages at once, and makes of each a folder `dist` that `npm publish` takes as it is.
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assemble, publicPackages } from "./publishing.ts"

const repository = join(import.meta.dir, "..")
const emitted = await mkdtemp(join(tmpdir(), "spikeroute-build-"))
try {
  const compiler = Bun.spawn(
    [process.execPath, "node_modules/typescript/bin/tsc", "-p", "tsconfig.build.json", "--outDir", emitted],
    { cwd: repository, stdin: "ignore", stdout: "inherit", stderr: "inherit" },
  )
  if ((await compiler.exited) !== 0) throw new Error("the packages have type errors: see above")
  for (const each of publicPackages(repository)) {
    await assemble(repository, emitted, each)
    console.log(`${each.manifest.name.padEnd(30)} ${join(each.folder, "dist")}`)
  }
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
} finally {
  await rm(emitted, { recursive: true, force: true })
}
