/**
 * Node 22 from npm, or else from the PATH. It is installed as the package of its platform, because the package `node` would download that
 * during installation.
 */
import { createRequire } from "node:module"
import { dirname, join } from "node:path"

const find = (): string => {
  try {
    const manifest = createRequire(import.meta.url).resolve(`node-${process.platform}-${process.arch}/package.json`)
    return join(dirname(manifest), "bin/node")
  } catch {
    return "node22"
  }
}

export const node22: string = find()
