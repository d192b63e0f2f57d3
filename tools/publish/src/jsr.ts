/**
 * Stages the packages for JSR, which publishes sources, as a Deno workspace. `backend-native` needs its C files on disk and `backend-tfjs` an
 * unpublished package, so Deno uses those two from npm.
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
 * The manifest for JSR. JSR rejects WebAssembly modules that import their memory, so `backend-wasm/spikeroute.wasm` is not a sub-path there;
 * `backend-wasm/module` loads it instead.
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

/** Copies the packages to a folder for `deno publish`; returns their names. */
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
