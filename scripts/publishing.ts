/** What is published of a package: its built modules under `lib/`, what its manifest lists as files, and a manifest that says so. */
import { existsSync } from "node:fs"
import { cp, readFile, rm, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { type Manifest, type Package, packages } from "./import-rules.ts"

/** A manifest as it stands in the repository: its `exports` are the sources. */
export interface SourceManifest extends Manifest {
  readonly version: string
  readonly private?: true
  readonly files?: ReadonlyArray<string>
  readonly exports: Readonly<Record<string, string>>
}

export interface PublicPackage extends Package {
  readonly manifest: SourceManifest
}

/** The packages that are published. */
export const publicPackages = (repository: string): ReadonlyArray<PublicPackage> =>
  packages(repository).filter((each): each is PublicPackage => !("private" in each.manifest))

type Dependencies = Readonly<Record<string, string>> | undefined

/** Of the workspace, this very version: all packages are released together. */
const released = (dependencies: Dependencies, version: string): Dependencies =>
  dependencies &&
  Object.fromEntries(
    Object.entries(dependencies).map(([name, range]) => [name, range === "workspace:*" ? version : range]),
  )

const compatible = (dependencies: Dependencies): Dependencies =>
  dependencies && Object.fromEntries(Object.entries(dependencies).map(([name, version]) => [name, `^${version}`]))

/** Where a source is built to. */
const built = (source: string, extension: string) => source.replace(/^\.\/src\//, "./lib/").replace(/\.ts$/, extension)

/**
 * The manifest that is published. Effect becomes a peer: programs hand Effect's values to the library and take them from it, so
 * both must hold the same copy.
 */
export const publishedManifest = (manifest: SourceManifest): object => {
  const { devDependencies: _, files: __, exports, dependencies = {}, peerDependencies, ...rest } = manifest
  const { effect, ...others } = dependencies
  const entries = Object.entries(exports).map(([path, source]) => [
    path,
    source.endsWith(".ts") ? { types: built(source, ".d.ts"), default: built(source, ".js") } : source,
  ])
  return {
    ...rest,
    publishConfig: { access: "public", provenance: true },
    exports: { ...Object.fromEntries(entries), "./package.json": "./package.json" },
    dependencies: released(others, manifest.version),
    peerDependencies: compatible({ ...(effect === undefined ? {} : { effect }), ...peerDependencies }),
  }
}

/** Addresses of sources, relative to a module: imports in declarations, and `new URL("./worker.ts", import.meta.url)`. */
const sourceAddress = /((?:from|import|new URL)\s*\(?\s*")(\.\.?\/[^"]+)\.ts(")/g

/** Makes a package's `dist` of the modules that the compiler has left in `emitted`. */
export const assemble = async (repository: string, emitted: string, { folder, manifest }: PublicPackage) => {
  const source = join(repository, folder)
  const dist = join(source, "dist")
  await rm(dist, { recursive: true, force: true })
  await cp(join(emitted, folder, "src"), join(dist, "lib"), { recursive: true })
  for (const path of new Bun.Glob("lib/**/*.{js,d.ts}").scanSync({ cwd: dist })) {
    const text = await readFile(join(dist, path), "utf8")
    await writeFile(join(dist, path), text.replaceAll(sourceAddress, "$1$2.js$3"))
  }
  for (const file of manifest.files ?? []) await cp(join(source, file), join(dist, file), { recursive: true })
  await cp(join(source, "README.md"), join(dist, "README.md"))
  await cp(join(repository, "LICENSE"), join(dist, "LICENSE"))
  await writeFile(join(dist, "package.json"), `${JSON.stringify(publishedManifest(manifest), undefined, 2)}\n`)
  for (const target of Object.values(manifest.exports))
    if (!existsSync(join(dist, built(target, ".js"))))
      throw new Error(`${folder}/package.json exports ${target}, which the build has not made`)
}
