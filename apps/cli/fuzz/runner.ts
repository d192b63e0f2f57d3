/** Has a worker read mutated files, and starts a new worker after a crash or a hang. */
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import type { Outcome } from "./worker.ts"

/** Modules that export `formats`. */
export const modules = ["./formats.ts", "../../../packages/datasets/fuzz/formats.ts"].map((path) =>
  fileURLToPath(new URL(path, import.meta.url)),
)

const worker = fileURLToPath(new URL("./worker.ts", import.meta.url))

/**
 * Limits per file. `milliseconds` is processor time, because a loaded machine reads valid files slowly; `waiting` is wall-clock time, because
 * a read that waits forever uses no processor time.
 */
export const limits = { milliseconds: 10_000, waiting: 60_000, growth: 512 * 2 ** 20, resident: 3 * 2 ** 30 }

const numbersOf = (pid: number, file: string): ReadonlyArray<number> => {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "utf8")
      .replace(/^.*\) /, "")
      .split(" ")
      .map(Number)
  } catch {
    return []
  }
}

const residentBytes = (pid: number): number => 4096 * (numbersOf(pid, "statm")[1] ?? 0)

/** User plus system processor time in milliseconds; `undefined` if the system does not provide it. */
const processorTime = (pid: number): number | undefined => {
  const [user, system] = numbersOf(pid, "stat").slice(11, 13)
  return user === undefined || system === undefined ? undefined : 10 * (user + system)
}

/** The files to read: numbers `from` to `count` − 1 of each format. */
export interface Plan {
  readonly module: string
  readonly formats: ReadonlyArray<string>
  readonly seed: number
  readonly from?: number
  readonly count: number
  /** Directory in which the last folder that was read is stored. */
  readonly keep?: string | undefined
  readonly milliseconds?: number
}

type Said = Outcome | { readonly format: string; readonly begins: number }

/** The outcomes until the worker ends or fails. */
const runOnce = async (
  { module, seed, count, keep = "", milliseconds = limits.milliseconds }: Plan,
  wanted: ReadonlyArray<string>,
): Promise<ReadonlyArray<Outcome>> => {
  const args = [worker, module, seed, count, keep, ...wanted].map(String)
  const child = Bun.spawn([process.execPath, ...args], { stdout: "pipe", stderr: "pipe", stdin: "ignore" })
  const outcomes: Array<Outcome> = []
  let begun: { readonly format: string; readonly begins: number } | undefined
  let since = performance.now()
  let usedBefore: number | undefined
  let killed: string | undefined
  const watch = setInterval(() => {
    const waited = performance.now() - since
    const used = processorTime(child.pid)
    usedBefore ??= used
    const worked = used === undefined || usedBefore === undefined ? waited : used - usedBefore
    if (begun && (worked > milliseconds || waited > limits.waiting)) killed = `no end within ${milliseconds} ms`
    if (residentBytes(child.pid) > limits.resident) killed = `more than ${limits.resident} bytes of memory`
    if (killed !== undefined) child.kill("SIGKILL")
  }, 100)
  const errors = child.stderr.text()
  let rest = ""
  for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n")
    rest = lines.pop() ?? ""
    for (const line of lines) {
      const said = JSON.parse(line) as Said
      since = performance.now()
      usedBefore = undefined
      begun = "begins" in said ? said : undefined
      if (!("begins" in said)) outcomes.push(said)
    }
  }
  clearInterval(watch)
  const code = await child.exited
  if (code === 0) return outcomes
  const tail = (await errors).slice(-2000)
  if (begun === undefined) throw new Error(`the worker of ${wanted[0]} failed: ${killed ?? tail}`)
  const message = killed ?? `a crash: ${child.signalCode ?? code}: ${tail.slice(-300)}`
  const took = Math.round(performance.now() - since)
  return [
    ...outcomes,
    { format: begun.format, number: begun.begins, outcome: "fault", message, milliseconds: took, growth: 0 },
  ]
}

/** The outcomes of all files of a plan. Exceeding a limit is a fault. */
export const run = async (plan: Plan): Promise<ReadonlyArray<Outcome>> => {
  const { formats, from = 0, count } = plan
  const outcomes: Array<Outcome> = []
  let wanted = formats.map((name) => `${name}:${from}`)
  while (wanted.length > 0) {
    outcomes.push(...(await runOnce(plan, wanted)))
    const last = outcomes.at(-1)
    if (last === undefined) break
    // If a worker ended early, continue after its last file.
    const behind = formats.slice(formats.indexOf(last.format) + 1).map((name) => `${name}:${from}`)
    wanted = last.number + 1 < count ? [`${last.format}:${last.number + 1}`, ...behind] : behind
  }
  return outcomes.map((each) =>
    each.outcome !== "fault" && each.growth > limits.growth
      ? { ...each, outcome: "fault", message: `it takes ${Math.round(each.growth / 2 ** 20)} MB of memory` }
      : each,
  )
}
