/** `bun run api`: writes the API reference. */
import { join } from "node:path"
import { makeReference } from "./api.ts"

try {
  await makeReference(join(import.meta.dir, "../../.."), "dist/api")
  process.stdout.write("dist/api/index.html\n")
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : error}\n`)
  process.exitCode = 1
}
