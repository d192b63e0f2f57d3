/**
 * `bun run install:chromium`: installs Chromium, which includes a software GPU driver, for tests that need a browser or WebGPU.
 *
 * Uses npm on Linux x86-64 (no root needed), else apt-get. If both fail, prints the reasons and exits with 1.
 */
import { spawnSync } from "node:child_process"
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { brotliDecompressSync } from "node:zlib"
import { cache, findChromium, packaged } from "./chromium.ts"

const run = (command: string, args: ReadonlyArray<string>, cwd?: string) => {
  const { status, error, stderr } = spawnSync(command, args, {
    cwd,
    encoding: "utf8",
    stdio: ["ignore", "ignore", "pipe"],
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
  })
  const last = stderr?.trim().split("\n").at(-1)
  if (error || status !== 0) throw new Error(`${command} ${args[0]}: ${error?.message ?? last}`)
}

/** Unpacks the npm package next to the cache folder, then moves it there. */
const fromNpm = () => {
  if (process.platform !== "linux" || process.arch !== "x64")
    throw new Error("the npm package is for Linux on x86-64 only")
  mkdirSync(dirname(cache), { recursive: true })
  const folder = mkdtempSync(`${cache}-`)
  try {
    writeFileSync(join(folder, "package.json"), "{}")
    run(process.execPath, ["add", "--exact", `${packaged.name}@${packaged.version}`], folder)
    const files = join(folder, "node_modules", packaged.name, "bin")
    const unpacked = join(folder, "unpacked")
    mkdirSync(unpacked)
    const decompress = (name: string, to: string) =>
      writeFileSync(to, brotliDecompressSync(readFileSync(join(files, `${name}.br`))))
    for (const name of ["swiftshader.tar", "al2023.tar"]) {
      const archive = join(folder, name)
      decompress(name, archive)
      run("tar", ["--extract", "--no-same-owner", `--file=${archive}`], unpacked)
    }
    const executable = join(unpacked, "chromium")
    decompress("chromium", executable)
    chmodSync(executable, 0o755)
    const { status, stderr } = spawnSync(executable, ["--version"], {
      env: { ...process.env, LD_LIBRARY_PATH: `${unpacked}:${join(unpacked, "lib")}` },
      encoding: "utf8",
    })
    if (status !== 0) throw new Error(stderr?.trim().split("\n").at(-1) ?? "it does not start")
    if (!existsSync(cache)) renameSync(unpacked, cache)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const fromDebian = () => {
  const [command, ...leading] = process.getuid?.() === 0 ? ["apt-get"] : ["sudo", "--non-interactive", "apt-get"]
  const apt = (...args: ReadonlyArray<string>) => run(command as string, [...leading, ...args])
  apt("update")
  apt("install", "--yes", "--no-install-recommends", "chromium")
}

const reasons: Array<string> = []
for (const install of [fromNpm, fromDebian]) {
  if (findChromium()) break
  try {
    install()
  } catch (error) {
    reasons.push(error instanceof Error ? error.message : String(error))
  }
}
const found = findChromium()
if (found) console.log(`Chromium: ${found.executable}`)
else {
  console.error(`Chromium cannot be installed: ${reasons.join("; ")}`)
  process.exitCode = 1
}
