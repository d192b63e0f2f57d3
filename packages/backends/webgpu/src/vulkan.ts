/** Dawn's requirements on Linux: Vulkan's loader, and a driver that the loader finds by its manifest. */
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { basename, join } from "node:path"

const paths = (variable: string | undefined): ReadonlyArray<string> => (variable ?? "").split(":").filter(Boolean)

/** Whether the system's dynamic linker finds Vulkan's loader. */
export const findLoader = (): boolean => {
  const library = "libvulkan.so.1"
  if (paths(process.env.LD_LIBRARY_PATH).some((folder) => existsSync(join(folder, library)))) return true
  try {
    return readFileSync("/etc/ld.so.cache", "latin1").includes(library)
  } catch {
    // Systems without this cache (musl) search only these folders.
    return ["/lib", "/usr/local/lib", "/usr/lib"].some((folder) => existsSync(join(folder, library)))
  }
}

/** File names of installed driver manifests: those that the environment names, else those in the loader's folders. */
export const findDrivers = (): ReadonlyArray<string> => {
  const { VK_DRIVER_FILES, VK_ICD_FILENAMES, XDG_DATA_HOME, XDG_DATA_DIRS, HOME } = process.env
  const named = paths(VK_DRIVER_FILES ?? VK_ICD_FILENAMES)
  if (named.length > 0) return named.filter((file) => existsSync(file)).map((file) => basename(file))
  const data = [XDG_DATA_HOME ?? `${HOME}/.local/share`, ...paths(XDG_DATA_DIRS), "/usr/local/share", "/usr/share"]
  const manifests = ["/etc", ...data].flatMap((folder) => {
    try {
      return readdirSync(join(folder, "vulkan/icd.d"))
    } catch {
      return []
    }
  })
  return [...new Set(manifests)].filter((file) => file.endsWith(".json"))
}
