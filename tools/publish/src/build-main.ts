/** `bun run build [--pack FOLDER]`: builds all packages, and packs them into tarballs. */
import { join, resolve } from "node:path"
import { parseArgs } from "node:util"
import { build, pack } from "./index.ts"

const repository = join(import.meta.dir, "../../..")

try {
  const { values } = parseArgs({ options: { pack: { type: "string" } } })
  const packages = await build(repository)
  for (const { folder, manifest } of packages) process.stdout.write(`${manifest.name.padEnd(30)} ${folder}/dist\n`)
  if (values.pack !== undefined) {
    await pack(repository, packages, resolve(values.pack))
    process.stdout.write(`npm install ${join(resolve(values.pack), "*.tgz")}\n`)
  }
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : error}\n`)
  process.exitCode = 1
}
