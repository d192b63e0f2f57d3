/**
 * Node 22, as npm has it for this machine, or else as the PATH has it. It comes as the package of its platform: the package `node`
 * would fetch that while it is installed.
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
