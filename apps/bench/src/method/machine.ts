/** Describes a run: machine, versions, commit. */
import { spawnSync } from "node:child_process"
import { readFileSync } from "node:fs"
import { availableParallelism, cpus, release, totalmem } from "node:os"
import { fileURLToPath } from "node:url"
import type { Run } from "./row.ts"

const folder = fileURLToPath(new URL(".", import.meta.url))

const git = (...args: ReadonlyArray<string>): string | undefined => {
  const { status, stdout } = spawnSync("git", args, { cwd: folder, encoding: "utf8" })
  return status === 0 ? stdout.trim() : undefined
}

const versionOf = (name: string): string | undefined => {
  try {
    let at = new URL(".", import.meta.resolve(name))
    for (;;) {
      try {
        const manifest = JSON.parse(readFileSync(new URL("package.json", at), "utf8"))
        if (manifest.name === name) return manifest.version
      } catch {
        // No manifest in this folder: go up.
      }
      const up = new URL("..", at)
      if (up.href === at.href) return undefined
      at = up
    }
  } catch {
    return undefined
  }
}

const compiler = (): string | undefined => {
  const { status, stdout } = spawnSync(process.env.CC || "cc", ["--version"], { encoding: "utf8" })
  return status === 0 ? stdout.split("\n")[0] : undefined
}

/** The first row of a run. */
export const describeRun = (command: string, versions: Readonly<Record<string, string>> = {}): Run => {
  const changed = git("status", "--porcelain", "--untracked-files=no")
  const commit = git("rev-parse", "--short=12", "HEAD") ?? "unknown"
  const cc = compiler()
  const effect = versionOf("effect")
  const jax = versionOf("@jax-js/jax")
  return {
    kind: "run",
    format: 1,
    started: new Date().toISOString(),
    command,
    commit: changed ? `${commit}, changed` : commit,
    machine: {
      processor: cpus()[0]?.model.trim() || "unknown",
      processors: availableParallelism(),
      memoryBytes: totalmem(),
      system: `${process.platform} ${release()}, ${process.arch}`,
    },
    versions: {
      Bun: process.versions.bun ?? "",
      ...(effect === undefined ? {} : { Effect: effect }),
      ...(cc === undefined ? {} : { "C compiler": cc }),
      ...(jax === undefined ? {} : { "jax-js": jax }),
      ...versions,
    },
  }
}
