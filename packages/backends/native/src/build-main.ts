/** `bun run build:native`: builds the library if necessary, and prints its path. */
import { build } from "./build.ts"

try {
  process.stdout.write(`${await build(() => process.stderr.write("Building the native kernels…\n"))}\n`)
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : error}\n`)
  process.exitCode = 2
}
