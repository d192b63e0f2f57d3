/** Builds the published form of a package: modules under `lib/`, the files that its manifest lists, and an adapted manifest. */
import { existsSync } from "node:fs"
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"

type Dependencies = Readonly<Record<string, string>> | undefined

/** A manifest in the repository; its `exports` are sources. */
export interface SourceManifest {
  readonly name: string
  readonly version: string
  readonly license: string
  readonly private?: true
  readonly files?: ReadonlyArray<string>
  readonly exports: Readonly<Record<string, string>>
  /** Sources and packages that bundlers for browsers leave out. */
  readonly browser?: Readonly<Record<string, false>>
  readonly dependencies?: Dependencies
  readonly optionalDependencies?: Dependencies
  readonly peerDependencies?: Dependencies
  readonly devDependencies?: Dependencies
}

export interface PublicPackage {
  /** Relative to the repository. */
  readonly folder: string
  readonly manifest: SourceManifest
}

const readJson = async (path: string) => JSON.parse(await readFile(path, "utf8"))

/** The published packages: those of the workspace that are not private. */
export const publicPackages = async (repository: string): Promise<ReadonlyArray<PublicPackage>> => {
  const { workspaces }: { readonly workspaces: ReadonlyArray<string> } = await readJson(
    join(repository, "package.json"),
  )
  const paths = workspaces.flatMap((pattern) => [
    ...new Bun.Glob(`${pattern}/package.json`).scanSync({ cwd: repository }),
  ])
  const all = await Promise.all(
    paths.sort().map(async (path) => ({ folder: dirname(path), manifest: await readJson(join(repository, path)) })),
  )
  return all.filter(({ manifest }) => !manifest.private)
}

/** Dependencies with workspace versions replaced by this version: all packages are released together. */
const released = (dependencies: Dependencies, version: string): Dependencies =>
  dependencies &&
  Object.fromEntries(
    Object.entries(dependencies).map(([name, range]) => [name, range === "workspace:*" ? version : range]),
  )

const compatible = (dependencies: Dependencies): Dependencies =>
  dependencies && Object.fromEntries(Object.entries(dependencies).map(([name, version]) => [name, `^${version}`]))

/** The path that a source is built to. */
const built = (source: string, extension: string) => source.replace(/^\.\/src\//, "./lib/").replace(/\.ts$/, extension)

/**
 * The published manifest. Effect becomes a peer dependency, because programs and the library exchange Effect's values and must therefore use
 * the same copy.
 */
const publishedManifest = (manifest: SourceManifest): object => {
  const { devDependencies: _, files: __, exports, browser, dependencies = {}, peerDependencies, ...rest } = manifest
  const { effect, ...others } = dependencies
  const entries = Object.entries(exports).map(([path, source]) => [
    path,
    source.endsWith(".ts") ? { types: built(source, ".d.ts"), default: built(source, ".js") } : source,
  ])
  return {
    ...rest,
    publishConfig: { access: "public", provenance: true },
    exports: { ...Object.fromEntries(entries), "./package.json": "./package.json" },
    ...(browser && {
      browser: Object.fromEntries(Object.entries(browser).map(([source, absent]) => [built(source, ".js"), absent])),
    }),
    dependencies: released(others, manifest.version),
    peerDependencies: compatible({
      ...(effect === undefined ? {} : { effect }),
      ...released(peerDependencies, manifest.version),
    }),
  }
}

/** Relative references to sources: imports in declarations, and `new URL("./worker.ts", import.meta.url)`. */
const sourceAddress = /((?:from|import|new URL)\s*\(?\s*")(\.\.?\/[^"]+)\.ts(")/g

/** Assembles a package's `dist` from the compiler's output in `emitted`. */
const assemble = async (repository: string, emitted: string, { folder, manifest }: PublicPackage) => {
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

/** A tarball and the paths of its files. */
export interface Tarball {
  readonly name: string
  readonly filename: string
  readonly files: ReadonlyArray<{ readonly path: string }>
}

/** Packs the built packages into a folder; `npm install FOLDER/*.tgz` installs them in another project. */
export const pack = async (
  repository: string,
  packages: ReadonlyArray<PublicPackage>,
  folder: string,
): Promise<ReadonlyArray<Tarball>> => {
  await mkdir(folder, { recursive: true })
  const dists = packages.map((each) => join(repository, each.folder, "dist"))
  const command = ["npm", "pack", "--json", "--pack-destination", folder, ...dists]
  const npm = Bun.spawn(command, { cwd: folder, stdin: "ignore", stderr: "pipe" })
  const [stdout, stderr, exitCode] = await Promise.all([npm.stdout.text(), npm.stderr.text(), npm.exited])
  if (exitCode !== 0) throw new Error(`npm pack ended with ${exitCode}: ${stderr}`)
  return JSON.parse(stdout)
}

/** Compiles all packages at once and creates a `dist` folder in each, which `npm publish` accepts as it is. */
export const build = async (repository: string): Promise<ReadonlyArray<PublicPackage>> => {
  const emitted = await mkdtemp(join(tmpdir(), "spikeroute-build-"))
  try {
    const command = ["node_modules/typescript/bin/tsc", "-p", "tsconfig.build.json", "--outDir", emitted]
    const compiler = Bun.spawn([process.execPath, ...command], { cwd: repository, stdin: "ignore", stderr: "pipe" })
    const [errors, exitCode] = await Promise.all([compiler.stdout.text(), compiler.exited])
    if (exitCode !== 0) throw new Error(`the packages have type errors\n${errors}`)
    const all = await publicPackages(repository)
    for (const each of all) await assemble(repository, emitted, each)
    return all
  } finally {
    await rm(emitted, { recursive: true, force: true })
  }
}
