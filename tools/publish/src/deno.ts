/**
 * Deno, as npm has it for this machine, or else as the PATH has it. It comes as the package of its platform: a package with a command
 * named `deno` would stand before Deno itself in `deno task`.
 */
import { createRequire } from "node:module"
import { dirname, join } from "node:path"

const find = (): string => {
  const platform = `${process.platform}-${process.arch}${process.platform === "linux" ? "-glibc" : ""}`
  try {
    return join(dirname(createRequire(import.meta.url).resolve(`@deno/${platform}/package.json`)), "deno")
  } catch {
    return "deno"
  }
}

export const deno: string = find()
