/** Whether nobody but the user, and root, can have changed a file: code that is loaded from a cache must be the user's own. */
import { lstat, realpath } from "node:fs/promises"
import { dirname } from "node:path"
import process from "node:process"

const byOthers = 0o022
const sticky = 0o1000

/** What is wrong with a file or folder that is the user's own, in words. */
const faultOfOwn = async (path: string, kind: "file" | "folder"): Promise<string | undefined> => {
  const found = await lstat(path)
  if (kind === "folder" ? !found.isDirectory() : !found.isFile()) return `${path} is no ${kind}`
  if (found.uid !== process.getuid?.()) return `${path} belongs to another user`
  return (found.mode & byOthers) === 0 ? undefined : `${path} can be written by other users`
}

/** What is wrong with the folders above: who can write there can put another in a folder's place, unless the folder is sticky. */
const faultAbove = async (path: string): Promise<string | undefined> => {
  const above = dirname(path)
  if (above === path) return undefined
  const found = await lstat(above)
  if (found.uid !== 0 && found.uid !== process.getuid?.()) return `${above} belongs to another user`
  if (found.isDirectory() && (found.mode & byOthers) !== 0 && (found.mode & sticky) === 0)
    return `${above} can be written by other users`
  return faultAbove(above)
}

/** Rejects unless the folder is the user's own, nobody else can write it, and nobody else can put another in its place. */
export const checkFolder = async (folder: string): Promise<void> =>
  refuse(
    (await faultOfOwn(folder, "folder")) ?? (await faultAbove(folder)) ?? (await faultAbove(await realpath(folder))),
  )

/** Rejects unless a file, in a folder that was checked, is the user's own and nobody else can write it. */
export const checkFile = async (file: string): Promise<void> => refuse(await faultOfOwn(file, "file"))

const refuse = (fault: string | undefined): void => {
  if (fault !== undefined)
    throw new Error(
      `built kernels are not loaded from where others may have changed them: ${fault}; set XDG_CACHE_HOME to a folder of your own, or remove it and what lies in it`,
    )
}
