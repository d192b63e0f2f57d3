/**
 * A cache for shared libraries that are compiled on first use, under names that contain a hash of all inputs. Caches that other users can
 * write are not trusted: see trust.ts.
 */
import { spawn } from "node:child_process"
import { createHash } from "node:crypto"
import { chmod, mkdir, mkdtemp, readdir, rename, rm } from "node:fs/promises"
import { homedir } from "node:os"
import { join } from "node:path"
import { checkFile, checkFolder } from "./trust.ts"

/** Runs a command and resolves to its output. Rejects with the output if it fails, or with `missing` if it cannot be started. */
export const command = (
  file: string,
  args: ReadonlyArray<string>,
  missing: (file: string) => string,
): Promise<string> =>
  new Promise((resolve, reject) => {
    const child = spawn(file, args, { stdio: ["ignore", "pipe", "pipe"] })
    let output = ""
    child.stdout.on("data", (data) => (output += data))
    child.stderr.on("data", (data) => (output += data))
    child.on("error", () => reject(new Error(missing(file))))
    child.on("close", (code) =>
      code === 0 ? resolve(output) : reject(new Error(`${file} ${args.at(-1)} failed:\n${output.slice(0, 4000)}`)),
    )
  })

/** A hash of all parts: sixteen hexadecimal digits. */
export const digest = (...parts: ReadonlyArray<string | Uint8Array>): string => {
  const hash = createHash("sha256")
  for (const part of parts) hash.update(part)
  return hash.digest("hex").slice(0, 16)
}

export interface Cache {
  /** Names of the cached libraries. */
  readonly built: ReadonlyArray<string>
  /** The path of a library. If it is not cached, `link` builds it in a temporary folder and returns its path there. */
  readonly library: (name: string, link: (workplace: string) => Promise<string>) => Promise<string>
}

/** Opens a folder in the user's cache. Rejects if other users can write it. */
export const openCache = async (kind: string): Promise<Cache> => {
  const folder = join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "spikeroute", kind)
  await mkdir(folder, { recursive: true, mode: 0o700 })
  await checkFolder(folder)
  const built = await readdir(folder)
  return {
    built,
    library: async (name, link) => {
      const library = join(folder, name)
      if (built.includes(name)) {
        await checkFile(library)
        return library
      }
      const workplace = await mkdtemp(join(folder, "build-"))
      try {
        const linked = await link(workplace)
        await chmod(linked, 0o700)
        // Atomic, so that no process sees a partial library.
        await rename(linked, library)
      } finally {
        await rm(workplace, { recursive: true, force: true })
      }
      return library
    },
  }
}
