/** `bun run build`: builds all packages. */
import { join } from "node:path"
import { build } from "./index.ts"

try {
  for (const { folder, manifest } of await build(join(import.meta.dir, "../../..")))
    process.stdout.write(`${manifest.name.padEnd(30)} ${folder}/dist\n`)
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : error}\n`)
  process.exitCode = 1
}
