/**
 * Reads mutated files one after the other and reports the outcome of each on its own line. It is a separate process because a reader may
 * crash or hang. The files of each format are numbered; those from FROM to COUNT − 1 are read.
 *
 *     bun worker.ts MODULE SEED COUNT KEEP? FORMAT:FROM…
 */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import type { Format } from "./format.ts"
import { mutate } from "./mutate.ts"

/** The outcome of reading a file. */
export interface Outcome {
  readonly format: string
  readonly number: number
  /** Valid data (`right`), a typed `error`, or a `fault`. */
  readonly outcome: "right" | "error" | "fault"
  readonly tag?: string
  /** The error's message, or the description of the fault. */
  readonly message?: string
  readonly milliseconds: number
  /** Maximum growth in resident memory, in bytes. */
  readonly growth: number
}

/** Errors of the libraries under the readers; a reader must convert them to its own errors. */
const foreign = new Set(["PlatformError", "SchemaError", "TarError", "ZipError", "UnknownError", "TimeoutError"])
const raw =
  /undefined is not|is not a function|Cannot read prop|is not an object|is not iterable|\b(Type|Range|Reference|Syntax)Error\b|JSON Parse|\[object /

const faultOf = (error: unknown): string | undefined => {
  const tag = (error as { readonly _tag?: unknown } | undefined)?._tag
  if (!(error instanceof Error) || typeof tag !== "string") return `an untyped error: ${String(error).slice(0, 300)}`
  if (foreign.has(tag)) return `${tag} instead of an error of the reader: ${error.message.slice(0, 300)}`
  if (/[\p{Cc}\p{Zl}\p{Zp}]/u.test(error.message))
    return `${tag}: its message is not one line: ${JSON.stringify(error.message.slice(0, 300))}`
  if (error.message.length > 2000) return `${tag}: its message has ${error.message.length} characters`
  return raw.test(error.message) ? `${tag}: a runtime's text is the message: ${error.message.slice(0, 300)}` : undefined
}

/** Current resident memory, and its maximum since the last call, in bytes; 0 if the system does not provide them. */
const memory = (): { readonly now: number; readonly most: number } => {
  if (!existsSync("/proc/self/status")) return { now: 0, most: 0 }
  const status = readFileSync("/proc/self/status", "utf8")
  const bytes = (field: string) => 1024 * Number(new RegExp(`${field}:\\s*(\\d+)`).exec(status)?.[1] ?? 0)
  writeFileSync("/proc/self/clear_refs", "5")
  return { now: bytes("VmRSS"), most: bytes("VmHWM") }
}

const listing = (directory: string): ReadonlyArray<string> =>
  readdirSync(directory, { recursive: true, withFileTypes: true })
    .map((entry) => `${join(entry.parentPath, entry.name)}${entry.isFile() ? "" : "/"}`)
    .sort()

const same = (bytes: Uint8Array) => bytes
const say = (line: unknown) => process.stdout.write(`${JSON.stringify(line)}\n`)

const readAll = async (format: Format, from: number): Promise<void> => {
  const { name, files, unpack = same, repair = same, pack = same } = format
  const root = mkdtempSync(join(kept === "" ? tmpdir() : kept, "spikeroute-fuzz-"))
  const directory = join(root, "a", "b", "data")
  const store = (path: string, content: Uint8Array | string) => {
    mkdirSync(dirname(join(directory, path)), { recursive: true })
    writeFileSync(join(directory, path), content)
  }
  for (const [path, content] of Object.entries(files)) store(path, content)
  const there = listing(root)
  /** Detects changes to the mutated file, and to files in `root`, which contains the folder. */
  const damage = (path: string, bytes: Uint8Array): string | undefined => {
    const left = listing(root)
    const strange = left.find((each) => !there.includes(each)) ?? there.find((each) => !left.includes(each))
    if (strange !== undefined) return `${strange} appeared or is gone`
    return Buffer.from(bytes).equals(readFileSync(join(directory, path))) ? undefined : `${path} was written to`
  }

  const read = async (number: number, path: string, bytes: Uint8Array): Promise<Outcome> => {
    const before = memory()
    const start = performance.now()
    const error = await format.read(directory).then(
      () => undefined,
      (error: unknown) => error ?? new Error("undefined"),
    )
    const milliseconds = Math.round(performance.now() - start)
    const measured = { format: name, number, milliseconds, growth: Math.max(0, memory().most - before.now) }
    const fault = (error && faultOf(error)) ?? damage(path, bytes)
    if (fault !== undefined) return { ...measured, outcome: "fault", message: fault }
    if (error === undefined) return { ...measured, outcome: "right" }
    const { _tag, message } = error as Error & { readonly _tag: string }
    return { ...measured, outcome: "error", tag: _tag, message }
  }

  try {
    // Read the valid folder first, which also loads the modules that the reader needs.
    await format.read(directory)
    const names = format.changed ?? Object.keys(files)
    for (let number = from; number < Number(count); number++) {
      const path = names[number % names.length] as string
      const good = Buffer.from(files[path] as Uint8Array)
      const changed = mutate(unpack(good), Number(seed), name, number)
      const bytes = pack(changed.repair ? repair(changed.bytes) : changed.bytes)
      store(path, bytes)
      say({ format: name, begins: number })
      const outcome = await read(number, path, bytes)
      if (kept !== "") {
        say(outcome)
        continue
      }
      store(path, good)
      const after = await format.read(directory).catch((error: unknown) => error ?? "undefined")
      if (after === undefined) say(outcome)
      else {
        say({ ...outcome, outcome: "fault", message: `the good folder is refused after it: ${after}` })
        // Start a new process, so that the effects of this file do not affect the next.
        return process.exit(0)
      }
    }
  } finally {
    if (kept === "") rmSync(root, { recursive: true, force: true })
    else process.stderr.write(`${directory}\n`)
  }
}

const [module = "", seed = "0", count = "0", kept = "", ...wanted] = process.argv.slice(2)
const { formats } = (await import(module)) as { readonly formats: ReadonlyArray<Format> }
for (const each of wanted) {
  const [name, from] = each.split(":")
  const format = formats.find((each) => each.name === name)
  if (format === undefined) throw new Error(`no format is called ${name}`)
  await readAll(format, Number(from))
}
