/** Checks that only the user and root can have changed a file: code is loaded from a cache only if it is the user's own. */
import { lstat, realpath } from "node:fs/promises"
import { dirname } from "node:path"
import process from "node:process"

const byOthers = 0o022
const sticky = 0o1000

/** Why a file or folder is not exclusively the user's; undefined if it is. */
const faultOfOwn = async (path: string, kind: "file" | "folder"): Promise<string | undefined> => {
  const found = await lstat(path)
  if (kind === "folder" ? !found.isDirectory() : !found.isFile()) return `${path} is no ${kind}`
  if (found.uid !== process.getuid?.()) return `${path} belongs to another user`
  return (found.mode & byOthers) === 0 ? undefined : `${path} can be written by other users`
}

/** Why a parent folder is not safe: others who can write it could replace the folder below, unless it is sticky. */
const faultAbove = async (path: string): Promise<string | undefined> => {
  const above = dirname(path)
  if (above === path) return undefined
  const found = await lstat(above)
  if (found.uid !== 0 && found.uid !== process.getuid?.()) return `${above} belongs to another user`
  if (found.isDirectory() && (found.mode & byOthers) !== 0 && (found.mode & sticky) === 0)
    return `${above} can be written by other users`
  return faultAbove(above)
}

/** Rejects unless the folder is the user's own, and nobody else can write or replace it. */
export const checkFolder = async (folder: string): Promise<void> =>
  refuse(
    (await faultOfOwn(folder, "folder")) ?? (await faultAbove(folder)) ?? (await faultAbove(await realpath(folder))),
  )

/** Rejects unless the file, in a checked folder, is the user's own and nobody else can write it. */
export const checkFile = async (file: string): Promise<void> => refuse(await faultOfOwn(file, "file"))

const refuse = (fault: string | undefined): void => {
  if (fault !== undefined)
    throw new Error(
      `built kernels are not loaded from where others may have changed them: ${fault}; set XDG_CACHE_HOME to a folder of your own, or remove it and what lies in it`,
    )
}
