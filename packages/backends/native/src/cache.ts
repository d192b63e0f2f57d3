/**
 * Shared libraries that the user's compiler makes on first use. They are kept in the user's cache under names that follow from all that they
 * are made of. Nothing is taken from a cache that somebody else can write; see trust.ts.
 */
import { spawn } from "node:child_process"
import { createHash } from "node:crypto"
import { chmod, mkdir, mkdtemp, readdir, rename, rm } from "node:fs/promises"
import { homedir } from "node:os"
import { join } from "node:path"
import { checkFile, checkFolder } from "./trust.ts"

/** Runs a compiler to its end: what it printed, or an error with that. `missing` is the error where there is no such command. */
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

/** Sixteen hexadecimal digits that follow from all parts. */
export const digest = (...parts: ReadonlyArray<string | Uint8Array>): string => {
  const hash = createHash("sha256")
  for (const part of parts) hash.update(part)
  return hash.digest("hex").slice(0, 16)
}

export interface Cache {
  /** The names of the libraries that are there. */
  readonly built: ReadonlyArray<string>
  /** The path of a library, which `link` makes in a folder, and gives the path of, if it is not there. */
  readonly library: (name: string, link: (workplace: string) => Promise<string>) => Promise<string>
}

/** Opens a folder of the user's cache. */
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
        // In one step, so that nobody sees half a library.
        await rename(linked, library)
      } finally {
        await rm(workplace, { recursive: true, force: true })
      }
      return library
    },
  }
}
