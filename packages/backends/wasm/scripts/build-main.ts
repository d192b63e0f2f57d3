/** `bun run build:wasm`: builds the modules and prints their sizes. */
import { writeFileSync } from "node:fs"
import { gzipSync } from "node:zlib"
import { build, builtFolder } from "./build.ts"

const kilobytes = (bytes: number) => `${(bytes / 1024).toFixed(1)} KB`

for (const [name, bytes] of await build()) {
  writeFileSync(new URL(name, builtFolder), bytes)
  process.stdout.write(`${name}: ${kilobytes(bytes.length)}, ${kilobytes(gzipSync(bytes).length)} gzipped\n`)
}
