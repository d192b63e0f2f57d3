/**
 * Deno from npm, or else from the PATH. It is installed as the package of its platform, because a package with a command named `deno` would
 * shadow Deno itself in `deno task`.
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
