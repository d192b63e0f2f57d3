// `bun run check`: types, lint and format, and import rules, all at once; a line for each, and what failed in full.
import { join } from "node:path"
import { check } from "./import-rules.ts"

const repository = join(import.meta.dir, "..")
const colors = process.stdout.isTTY === true

interface Outcome {
  readonly passed: boolean
  readonly output: string
}

const tool = async (path: string, ...args: ReadonlyArray<string>): Promise<Outcome> => {
  const child = Bun.spawn([process.execPath, join("node_modules", path), ...args], {
    cwd: repository,
    stdin: "ignore",
    stderr: "pipe",
  })
  const [out, error] = await Promise.all([child.stdout.text(), child.stderr.text()])
  return { passed: (await child.exited) === 0, output: out + error }
}

const importRules = async (): Promise<Outcome> => {
  const { found } = check(repository)
  return { passed: found.length === 0, output: found.join("\n") }
}

const report = async (name: string, work: () => Promise<Outcome>): Promise<boolean> => {
  const start = performance.now()
  const { passed, output } = await work()
  const seconds = ((performance.now() - start) / 1000).toFixed(1)
  console.log(`${passed ? "✓" : "✗"} ${name.padEnd(16)} ${seconds} s`)
  if (!passed) console.log(`${output.trim()}\n`)
  return passed
}

const passed = await Promise.all([
  report("types", () => tool("typescript/bin/tsc", "--noEmit", "--pretty", String(colors))),
  report("lint and format", () =>
    tool("@biomejs/biome/bin/biome", "check", "--error-on-warnings", colors ? "--colors=force" : "--colors=off"),
  ),
  report("import rules", importRules),
])
process.exitCode = passed.every(Boolean) ? 0 : 1
