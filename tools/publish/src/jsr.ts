/**
 * What JSR publishes: the sources of the packages that are complete as modules, as a workspace of Deno's. `backend-native` builds C
 * files that have to lie on the disk, `backend-tfjs` needs a package that is not published: Deno takes those two from npm.
 */
import { cp, mkdir, writeFile } from "node:fs/promises"
import { basename, join } from "node:path"
import { type PublicPackage, publicPackages, type SourceManifest } from "./index.ts"

const names: ReadonlySet<string> = new Set([
  "@spikeroute/core",
  "@spikeroute/backend-kernels",
  "@spikeroute/backend-reference",
  "@spikeroute/backend-wasm",
  "@spikeroute/datasets",
])

/**
 * The manifest that JSR reads. It takes no module of WebAssembly that imports its memory, so `backend-wasm/spikeroute.wasm` is no
 * sub-path there: `backend-wasm/module` loads it.
 */
const manifestOf = ({ name, version, license, exports, dependencies, peerDependencies }: SourceManifest): object => ({
  name,
  version,
  license,
  exports: Object.fromEntries(Object.entries(exports).filter(([, source]) => source.endsWith(".ts"))),
  imports: Object.fromEntries(
    Object.entries({ ...dependencies, ...peerDependencies }).map(([each, range]) => [
      each,
      range === "workspace:*" ? `jsr:${each}@^${version}` : `npm:${each}@^${range}`,
    ]),
  ),
})

/** Lays the packages out in a folder, where `deno publish` finds them; gives their names. */
export const stage = async (repository: string, folder: string): Promise<ReadonlyArray<string>> => {
  const packages = (await publicPackages(repository)).filter(({ manifest }) => names.has(manifest.name))
  const place = ({ folder }: PublicPackage) => basename(folder)
  for (const each of packages) {
    const target = join(folder, place(each))
    await mkdir(target)
    for (const file of ["src", "README.md", ...(each.manifest.files ?? [])])
      await cp(join(repository, each.folder, file), join(target, file), { recursive: true })
    await cp(join(repository, "LICENSE"), join(target, "LICENSE"))
    await writeFile(join(target, "deno.json"), JSON.stringify(manifestOf(each.manifest), undefined, 2))
  }
  const workspace = packages.map((each) => `./${place(each)}`)
  const compilerOptions = { lib: ["deno.window", "esnext"], exactOptionalPropertyTypes: true }
  await writeFile(join(folder, "deno.json"), JSON.stringify({ workspace, compilerOptions, lock: false }, undefined, 2))
  return packages.map(({ manifest }) => manifest.name)
}
