// Runs a command of this repository, after installing what is missing: `bun scripts/run.mjs <command> [arguments…]`.
// Plain JavaScript without dependencies, because it runs before anything is installed. Under Bun the command's file
// is imported into this process (`import.meta.main` is false there), which saves the start of a second one.
import { readFileSync, writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"

const own = {
  api: ["tools/publish/src/api-main.ts"],
  "cold-start": ["examples/serverless/scripts/cold-start.ts"],
  bench: ["apps/bench/src/main.ts"],
  edge: ["examples/edge/scripts/main.ts"],
  playground: ["apps/playground/src/main.ts"],
  "build:native": ["packages/backends/native/src/build-main.ts"],
  features: ["apps/bench/features/main.ts"],
  fuzz: ["packages/backends/kernels/fuzz/main.ts"],
  "fuzz:files": ["apps/cli/fuzz/main.ts"],
  "build:wasm": ["packages/backends/wasm/scripts/build-main.ts"],
  build: ["tools/publish/src/build-main.ts"],
  "install:chromium": ["test/support/src/install-main.ts"],
  check: ["scripts/check.ts"],
  "publish:jsr": ["tools/publish/src/jsr-main.ts"],
  portable: ["test/portable/src/main.ts"],
  sizes: ["test/portable/src/sizes/main.ts"],
  test: ["test", "--parallel", "--timeout=60000"],
}
const cli = "apps/cli/src/main.ts"

const path = (relative) => fileURLToPath(new URL(`../${relative}`, import.meta.url))
const [command, ...args] = process.argv.slice(2)
const [entry, ...leading] = Object.hasOwn(own, command) ? own[command] : [cli, ...(command ? [command] : [])]

if (!process.versions.bun) {
  await hand("bun", [path("scripts/run.mjs"), ...process.argv.slice(2)])
} else {
  await install()
  if (entry.endsWith(".ts")) {
    process.argv.splice(1, Infinity, path(entry), ...leading, ...args)
    gate("SIGINT")
    gate("SIGTERM")
    await import(path(entry))
  } else await hand(process.execPath, [entry, ...leading, ...args], path("."))
}

/** Installs unless node_modules came from this very bun.lock, of which it keeps a copy. */
async function install() {
  const read = (file) => {
    try {
      return readFileSync(file, "utf8")
    } catch {
      return undefined
    }
  }
  const lock = read(path("bun.lock"))
  const stamp = path("node_modules/.spikeroute-lock")
  if (lock !== undefined && lock === read(stamp)) return
  process.stderr.write("Installing dependencies…\n")
  const { spawnSync } = await import("node:child_process")
  const { status, stdout, stderr } = spawnSync(process.execPath, ["install", "--frozen-lockfile"], { cwd: path(".") })
  if (status !== 0) {
    process.stderr.write(stdout)
    process.stderr.write(stderr)
    process.exit(status ?? 1)
  }
  writeFileSync(stamp, lock)
}

/**
 * Makes one Ctrl-C one signal. The terminal sends it to every process in the foreground, and `bun run` and `npx` each
 * send it on again, within milliseconds; a command for which a second Ctrl-C means "now" would stop at the first.
 * So after the first, the command's listeners are taken off for a quarter of a second.
 */
function gate(signal) {
  let closed = false
  process.on(signal, function first() {
    if (closed) return
    const listeners = process.rawListeners(signal).filter((listener) => listener !== first)
    if (listeners.length === 0) {
      process.removeListener(signal, first)
      process.kill(process.pid, signal)
      return
    }
    closed = true
    for (const listener of listeners) process.removeListener(signal, listener)
    setTimeout(() => {
      closed = false
      // A listener added by `once` has had its turn: it is the wrapper that holds the real one.
      for (const listener of listeners) if (!("listener" in listener)) process.on(signal, listener)
    }, 250).unref()
  })
}

/** Hands over to another process: its input and output are ours, our signals its, and its end is ours. */
async function hand(file, argv, cwd = process.cwd()) {
  const { spawn } = await import("node:child_process")
  const child = spawn(file, argv, { cwd, stdio: "inherit" })
  const signals = ["SIGINT", "SIGTERM"]
  for (const signal of signals) process.on(signal, () => child.kill(signal))
  child.on("error", ({ code, message }) => {
    process.stderr.write(
      code === "ENOENT" ? `${file} is not on the PATH: use "npx bun run <command>".\n` : `${message}\n`,
    )
    process.exit(127)
  })
  child.on("exit", (code, signal) => {
    if (signal === null) process.exit(code ?? 1)
    for (const each of signals) process.removeAllListeners(each)
    process.kill(process.pid, signal)
  })
}
