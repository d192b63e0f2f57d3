/** An empty project in which the packed packages are installed as a user would: with npm, from their tarballs. */
import { mkdtemp, realpath, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { build, type PublicPackage, pack } from "@spikeroute/publish-tools"

export const repository = join(import.meta.dir, "../../..")

export interface Run {
  readonly exitCode: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs a command and returns its output. */
export const run = async (command: ReadonlyArray<string>, cwd: string): Promise<Run> => {
  const env = { ...process.env, NO_COLOR: "1" }
  const child = Bun.spawn([...command], { cwd, env, stdin: "ignore", stdout: "pipe", stderr: "pipe" })
  const [stdout, stderr, exitCode] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited])
  return { exitCode, stdout, stderr }
}

/** The standard output of a command. Throws if it fails. */
export const output = async (command: ReadonlyArray<string>, cwd: string): Promise<string> => {
  const { exitCode, stdout, stderr } = await run(command, cwd)
  if (exitCode !== 0) throw new Error(`${command.join(" ")} ended with ${exitCode}: ${stdout}${stderr}`)
  return stdout
}

/** External dependencies of the published packages, linked to this repository's copies so that no test contacts a registry. */
const othersOf = async (packages: ReadonlyArray<PublicPackage>): Promise<Readonly<Record<string, string>>> => {
  const others: Record<string, string> = {}
  for (const { folder, manifest } of packages) {
    const { dependencies, optionalDependencies, peerDependencies } = manifest
    for (const name of Object.keys({ ...dependencies, ...optionalDependencies, ...peerDependencies }))
      if (!packages.some((each) => each.manifest.name === name))
        others[name] = `file:${await realpath(join(repository, folder, "node_modules", name))}`
  }
  return others
}

export interface Project {
  readonly packages: ReadonlyArray<PublicPackage>
  readonly folder: string
  /** Paths of the files in each tarball, by package. */
  readonly contents: ReadonlyMap<string, ReadonlyArray<string>>
  readonly remove: () => Promise<void>
}

/** Builds, packs and installs all packages. */
export const makeProject = async (): Promise<Project> => {
  const packages = await build(repository)
  const folder = await mkdtemp(join(tmpdir(), "spikeroute-project-"))
  const tarballs = join(folder, "tarballs")
  const packed = await pack(repository, packages, tarballs)
  const own = packed.map(({ name, filename }) => [name, `file:${join(tarballs, filename)}`] as const)
  const manifest = {
    private: true,
    type: "module",
    dependencies: { ...(await othersOf(packages)), ...Object.fromEntries(own) },
  }
  await writeFile(join(folder, "package.json"), JSON.stringify(manifest))
  await output(["npm", "install", "--offline", "--ignore-scripts", "--no-audit", "--no-fund"], folder)
  return {
    packages,
    folder,
    contents: new Map(packed.map(({ name, files }) => [name, files.map(({ path }) => path)])),
    remove: () => rm(folder, { recursive: true, force: true }),
  }
}
